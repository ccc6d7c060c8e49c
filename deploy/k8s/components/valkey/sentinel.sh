#!/bin/sh
# A sentinel: it writes what it learns into its file, which a restart keeps.
set -eu
cd /data
test -s sentinel.conf || cat > sentinel.conf <<CONF
port 26379
dir /data
protected-mode no
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $HOSTNAME.valkey
sentinel monitor formhub valkey-0.valkey 6379 2
sentinel down-after-milliseconds formhub 5000
sentinel failover-timeout formhub 20000
sentinel parallel-syncs formhub 2
CONF
exec valkey-sentinel sentinel.conf
