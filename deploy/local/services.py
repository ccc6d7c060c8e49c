"""What a laptop needs of services: each is started here unless its address is given in the environment."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deploy.local.kafka import Kafka, jars
from deploy.local.postgres import Postgres
from deploy.local.process import Process
from deploy.local.valkey import Valkey


class Service(Protocol):
    name: str
    process: Process

    @property
    def url(self) -> str: ...
    def launch(self) -> None: ...
    def wait_ready(self) -> None: ...
    def stop(self) -> None: ...


@dataclass
class Services:
    """Starts what is missing, all at once; `environment` has the addresses of everything.

    `jars`: where Kafka's are kept. `inherit`: open files that each service is handed.
    """

    folder: Path
    jars: Path
    say: Callable[[str], None] = lambda text: None
    inherit: Sequence[int] = ()
    provided: dict[str, Service] = field(default_factory=dict)

    def launch(self) -> None:
        """Start without waiting. Raises ServiceError."""
        for variable, make in _MAKERS.items():
            if not os.environ.get(variable):
                service = make(self)
                service.process.inherit = self.inherit
                self.provided[variable] = service
                self.say(f"Starting {service.process.name}")
                service.launch()

    def wait_ready(self) -> None:
        """Raises ServiceError."""
        for service in self.provided.values():
            service.wait_ready()

    def stop(self) -> None:
        """In the reverse order, each in its turn: a broker or a database writes its last state down."""
        while self.provided:
            _, service = self.provided.popitem()
            with suppress(ProcessLookupError):
                service.stop()

    def ended(self) -> Process | None:
        """One that was started and has ended by itself."""
        return next((each.process for each in self.provided.values() if not each.process.alive()), None)

    @property
    def environment(self) -> dict[str, str]:
        return {variable: os.environ.get(variable) or self.provided[variable].url for variable in _MAKERS}

    @property
    def pids(self) -> dict[str, int]:
        return {service.name: service.process.pid for service in self.provided.values()}

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"


def _kafka(services: Services) -> Service:
    libs = jars(services.jars, services.say)
    return Kafka(services.folder / "kafka", services.log("kafka"), libs)


def _postgres(services: Services) -> Service:
    return Postgres(services.folder / "postgres", services.log("postgres"))


def _valkey(purpose: str) -> Callable[[Services], Service]:
    def make(services: Services) -> Service:
        return Valkey(purpose, services.folder / f"valkey-{purpose}", services.log(f"valkey-{purpose}"))

    return make


# The broker takes longest to be ready, so it begins first.
_MAKERS: dict[str, Callable[[Services], Service]] = {
    "KAFKA_BOOTSTRAP_SERVERS": _kafka,
    "DATABASE_URL": _postgres,
    "REDIS_BUFFER_URL": _valkey("buffer"),
    "REDIS_URL": _valkey("cache"),
}
