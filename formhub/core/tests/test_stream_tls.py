"""The log on a broker that speaks TLS alone, and only with those whose certificate its own authority signed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_django import Settings

from deploy.local.kafka import Kafka, jars
from deploy.local.process import free_port
from formhub.core.stream import cluster
from formhub.core.stream.base import StreamError
from formhub.core.stream.kafka import KafkaPublisher, KafkaSource, TopicSettings, ensure_topic
from formhub.core.tests.stream_suite import a_message, at_start, publish, receipts, take, texts

pytestmark = pytest.mark.services
TOPIC = "over-tls"
JARS = Path(__file__).resolve().parents[3] / ".formhub" / "kafka-jars"
PATIENCE = 30.0


class Authority:
    """Signs certificates for loopback. `ca`, `NAME.crt`, `NAME.key` and `NAME.pem` (both) lie in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
        self.ca = folder / "ca"
        self.ca.write_bytes(self._signed(self.name, self.key.public_key(), is_ca=True))

    def issue(self, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        written = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificate, secret = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(self._signed(subject, key.public_key(), is_ca=False))
        secret.write_bytes(written)
        (self.folder / f"{name}.pem").write_bytes(written + certificate.read_bytes())
        return certificate, secret

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, is_ca: bool) -> bytes:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Kafka]:
    folder = tmp_path_factory.mktemp("tls")
    port, controller = free_port(), free_port()
    authority.issue("broker")
    listeners = {
        "listeners": f"SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"SSL://127.0.0.1:{port}",
        "listener.security.protocol.map": "SSL:SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "SSL",
        "ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.folder / "broker.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.ca),
    }
    libs = jars(JARS)
    running = Kafka(folder, folder / "kafka.log", libs, port, voters={1: controller}, settings=listeners)
    running.start()
    yield running
    running.stop()


def test_what_is_written_over_tls_is_read_over_tls(broker: Kafka, authority: Authority, settings: Settings) -> None:
    certificate, key = authority.issue("formhub")
    settings.KAFKA_CA_FILE = str(authority.ca)
    settings.KAFKA_CERT_FILE, settings.KAFKA_KEY_FILE = str(certificate), str(key)

    assert ensure_topic([broker.url], TOPIC, TopicSettings(1, 1, 1, 24), PATIENCE) == []
    publisher = KafkaPublisher([broker.url], TOPIC, 1)
    source = KafkaSource([broker.url], TOPIC, "readers", session_seconds=6)
    try:
        receipts(publish(publisher, [a_message("one")]))

        assert texts(take(at_start(source), 1)) == ["one"]
        assert [each.leader for each in cluster.partitions([broker.url], TOPIC, PATIENCE)] == [True]
        assert list(cluster.written_at([broker.url], TOPIC, {0: 0}, PATIENCE)) == [0]
    finally:
        source.close()
        publisher.close(1.0)


def test_who_has_no_certificate_is_kept_out(broker: Kafka, authority: Authority, settings: Settings) -> None:
    settings.KAFKA_CA_FILE = str(authority.ca)

    with pytest.raises(StreamError):
        cluster.partitions([broker.url], TOPIC, 2.0)
