"""One service process: started in a session of its own, found ready by asking it, ended by its id."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FILES_MAX = 65_536
PORT_TRIES = 20
_claims: list[socket.socket] = []
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ServiceError(Exception):
    """A service that cannot be provided; the message says why and what to do."""


def free_port(preferred: int = 0) -> int:
    """The preferred port if nobody listens on it, else one the system gives.

    While this process lives no other that asks here is given the same: between a choice and the server's own bind lie
    seconds, and Granian shares a port (SO_REUSEPORT), so that two would divide their visitors and neither notice.
    """
    for port in (preferred, *[0] * PORT_TRIES):
        number = _bindable(port)
        if number is not None and _claim(number):
            return number
    raise ServiceError("No free port on 127.0.0.1.")


def _bindable(port: int) -> int | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        number: int = probe.getsockname()[1]
        return number


def _claim(port: int) -> bool:
    """By a name in the same network namespace as the port, which the system forgets with the process."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0formhub-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def allow_many_files() -> None:
    """A thousand clients at once are a thousand open connections, and many systems begin with 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def ask_loopback_directly() -> None:
    """A proxy is for the world outside: nothing that listens here is to be asked through one, by children neither."""
    for name in ("NO_PROXY", "no_proxy"):
        given = [each for each in os.environ.get(name, "").split(",") if each]
        os.environ[name] = ",".join(dict.fromkeys([*given, "127.0.0.1", "localhost"]))


def running(pid: int) -> bool:
    """Whether the process is there and more than an entry that its parent has not collected yet."""
    found = _stat(pid)
    return found is not None and found[0] not in {"Z", "X"}


def with_children(pids: Iterable[int]) -> list[int]:
    """Those that run, and everything that they have started."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        if found := _stat(int(path.name)):
            children.setdefault(found[1], []).append(int(path.name))
    family = list(pids)
    for pid in family:  # grows while it is walked
        family += children.get(pid, [])
    return [pid for pid in dict.fromkeys(family) if running(pid)]


def _stat(pid: int) -> tuple[str, int] | None:
    """State and parent of a process, None if there is none."""
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return state, int(parent)


@dataclass
class Process:
    """`ready` is asked until it says so; `stop_signal` is what the program takes as a wish to end cleanly.

    `inherit`: open files that it is handed, such as a lock that holds as long as it lives.
    """

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], bool]
    cwd: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_seconds: float = 60
    stop_seconds: float = 20
    stop_signal: signal.Signals = signal.SIGTERM
    inherit: Sequence[int] = ()
    _child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise ServiceError(f"{self.name} was not started.")
        return self._child.pid

    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def launch(self) -> None:
        """Start without waiting."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.cwd,
                env={**os.environ, **self.environment},
                start_new_session=True,  # a Ctrl-C at the terminal is for the runner, which ends services last
                preexec_fn=die_with_parent,
                pass_fds=self.inherit,
            )

    def wait_ready(self) -> None:
        """Raises ServiceError if it ends or is not ready in time."""
        deadline = time.monotonic() + self.ready_seconds
        while not self.ready():
            if not self.alive():
                raise ServiceError(f"{self.name} ended while starting. See {self.log}.\n{self._tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServiceError(f"{self.name} was not ready after {self.ready_seconds:.0f} s. See {self.log}.")
            time.sleep(0.05)

    def start(self) -> None:
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """Ask it to end, wait, then insist."""
        if self._child is None:
            return
        if self.alive():
            self._child.send_signal(self.stop_signal)
            try:
                self._child.wait(self.stop_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._child = None

    def kill(self) -> None:
        """End its whole session at once, as a power cut would."""
        if self._child is not None and self.alive():
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait(self.stop_seconds)

    def pause(self) -> None:
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def _tail(self, lines: int = 15) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def die_with_parent(by: signal.Signals = signal.SIGTERM) -> None:
    """For a child to call before it becomes its program: it gets the signal when the thread that made it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, by)
