#!/bin/sh
# A server: of the master that the sentinels name if any does, else of the first one. As deploy/local/sentinel.py.
set -eu
name="$HOSTNAME.valkey"
master=$(valkey-cli -h valkey-sentinel -p 26379 -t 3 --raw sentinel get-master-addr-by-name formhub 2>/dev/null | head -n 1) || true
case "$master" in *.valkey) ;; *) master=valkey-0.valkey ;; esac
set -- --appendonly yes --appendfsync everysec --maxmemory-policy noeviction --maxmemory 1500mb --dir /data \
  --repl-diskless-sync yes --repl-diskless-sync-delay 0 --min-replicas-to-write 1 --min-replicas-max-lag 10 \
  --replica-announce-ip "$name" --protected-mode no
test "$master" = "$name" || set -- "$@" --replicaof "$master" 6379
exec valkey-server "$@"
