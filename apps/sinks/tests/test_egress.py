"""What an organization may have called, and what comes of each way in which a call can end."""

import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from apps.sinks import egress
from apps.sinks.contract import (
    AmbiguousError,
    BackpressureError,
    ConfigurationError,
    DeliveryError,
    PermanentError,
    RetryableError,
)
from apps.sinks.egress import AddressError, Answer, Line, is_allowed, require_success, target
from apps.sinks.tests.receiver import (
    Receiver,
    answering,
    certificate,
    dribbling,
    endless,
    garbling,
    hanging,
    resetting,
    serving,
)

# Written down from IANA's registries of special-purpose addresses, not from the code.
NOBODYS = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
    "::/96", "::/128", "::1/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32",
    "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7",
    "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip
METADATA = [
    "169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fe80::a9fe:a9fe",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "2400:cb00::1",
]  # fmt: skip


@pytest.mark.parametrize("block", NOBODYS)
def test_no_address_of_a_block_that_is_nobodys_is_called(block: str) -> None:
    network = ipaddress.ip_network(block)

    @given(st.integers(int(network.network_address), int(network.broadcast_address)))
    def refused(number: int) -> None:
        assert not is_allowed(type(network.network_address)(number))

    refused()
    assert not is_allowed(network.network_address)
    assert not is_allowed(network.broadcast_address)


@given(st.integers(0, 2**128 - 1))
def test_of_ipv6_only_what_is_given_out_is_called(number: int) -> None:
    address = ipaddress.IPv6Address(number)

    assert not is_allowed(address) or number >> 125 == 1


@pytest.mark.parametrize("address", METADATA)
def test_the_metadata_of_a_cloud_is_not_called(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address))


def test_a_network_that_the_installation_names_is_called_and_nothing_beside_it(settings: Settings) -> None:
    settings.EGRESS_NETWORKS = [ipaddress.ip_network("10.1.0.0/16")]

    assert is_allowed(ipaddress.ip_address("10.1.255.255"))
    assert not is_allowed(ipaddress.ip_address("10.2.0.0"))
    assert not is_allowed(ipaddress.ip_address("::ffff:10.1.0.1"))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/",
        "https://127.1/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://0x7f000001/", "https://2130706433/",
        "https://127.0.0.1./", "https://[fe80::1%25eth0]/", "https://①②⑦.⓪.⓪.①/", "https://ⓛocalhost/",
        "https://127。0。0。1/", "https://example.com%00.evil/", "https://example.com\\@127.0.0.1/",
        "https://user:password@example.com/", "https://example.com:80@127.0.0.1/", "https://example.com#@127.0.0.1/",
        "https://example.com/\r\nHost: other", "https://exa mple.com/", "https://", "https:///path", "example.com",
        "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)", "//example.com/",
        "https://example.com:0/", "https://example.com:99999/", "https://example.com:x/", "https://[::1/",
        "https://example.com/" + "x" * 2000,
    ],
)  # fmt: skip
def test_an_address_that_is_odd_is_refused_before_anything_is_resolved(url: str) -> None:
    with pytest.raises(AddressError):
        target(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://example.com", "example.com", 443, "/"),
        ("https://Example.COM:8443/a/b?c=d%20e", "example.com", 8443, "/a/b?c=d%20e"),
        ("https://1.1.1.1/x", "1.1.1.1", 443, "/x"),
        ("https://[2606:4700::1111]/x", "2606:4700::1111", 443, "/x"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/"),
    ],
)
def test_an_address_is_taken_apart(url: str, host: str, port: int, path: str) -> None:
    found = target(url)

    assert (found.https, found.host, found.port, found.path) == (True, host, port, path)


def test_plain_http_is_called_only_where_the_installation_says_so(settings: Settings) -> None:
    with pytest.raises(AddressError, match="begins with https"):
        target("http://example.com/")
    settings.EGRESS_HTTP = True

    assert target("http://example.com/").port == 80


def test_only_the_ports_of_the_web_are_called(settings: Settings) -> None:
    with pytest.raises(AddressError, match="Port 6379 is not called, only 80, 443, 8443"):
        target("https://example.com:6379/")
    settings.EGRESS_PORTS = []

    assert target("https://example.com:6379/").port == 6379


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, ConfigurationError) for status in (301, 302, 303, 304, 307, 308, 401, 403, 404, 410)),
        *((status, AmbiguousError) for status in (408, 500, 501, 502, 503, 504, 599, 999)),
        *((status, PermanentError) for status in (400, 402, 405, 406, 409, 411, 413, 415, 418, 421, 422, 451, 499)),
        (429, BackpressureError),
    ],
)
def test_every_status_leads_to_its_error(status: int, kind: type[DeliveryError]) -> None:
    with pytest.raises(kind, match=str(status)):
        require_success(Answer(status, None, b"Ada"))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_success(status: int) -> None:
    require_success(Answer(status, None, b""))


@pytest.mark.parametrize(("asked", "waits"), [(None, 60), (7.0, 7), (-5.0, 1), (1e9, 3600)])
def test_a_service_that_is_full_is_given_the_time_it_asks_for_within_bounds(asked: float | None, waits: float) -> None:
    with pytest.raises(BackpressureError) as caught:
        require_success(Answer(429, asked, b""))

    assert caught.value.after == waits


class TestOnTheWire:
    pytestmark = pytest.mark.services

    @pytest.fixture(autouse=True)
    def _house(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.EGRESS_HTTP = True
        settings.EGRESS_PORTS = []
        settings.EGRESS_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
        monkeypatch.setattr(egress, "READ_SECONDS", 0.3)
        monkeypatch.setattr(egress, "TOTAL_SECONDS", 0.6)

    @pytest.fixture
    def receiver(self) -> Iterator[Receiver]:
        with Receiver() as running:
            yield running

    def post(self, url: str) -> Answer:
        with Line(url) as line:
            return line.post(b'{"name": "Ada"}', {"X-Ours": "1"})

    def test_what_is_posted_arrives_and_the_answer_is_told(self, receiver: Receiver) -> None:
        receiver.script = [answering(429, b"slowly", Retry_After="30")]

        assert self.post(receiver.url) == Answer(429, 30.0, b"slowly")
        assert (receiver.calls[0].body, receiver.calls[0].headers["X-Ours"]) == (b'{"name": "Ada"}', "1")
        assert receiver.calls[0].headers["Host"] == f"127.0.0.1:{receiver.port}"

    def test_requests_share_a_connection_and_survive_its_end(self, receiver: Receiver) -> None:
        receiver.script = [answering(200, b"a"), answering(200, b"b", Connection="close")]

        with Line(receiver.url) as line:
            bodies = [line.post(b"{}", {}).body for _ in range(3)]

        assert (bodies, receiver.connections) == ([b"a", b"b", b""], 2)

    def test_a_moment_to_wait_may_be_a_date(self, receiver: Receiver) -> None:
        receiver.script = [answering(429, Retry_After="Wed, 01 Jan 2020 00:00:00 GMT")]

        assert (self.post(receiver.url).retry_after or 0) < 0

    @pytest.mark.parametrize("name", ["localhost", "LOCALHOST"])
    def test_a_name_that_leads_home_is_not_called(self, receiver: Receiver, settings: Settings, name: str) -> None:
        settings.EGRESS_NETWORKS = []

        with pytest.raises(ConfigurationError, match="does not lead to a public address"):
            self.post(f"http://{name}:{receiver.port}/")
        assert receiver.connections == 0

    @pytest.mark.parametrize("name", ["127.1", "0177.0.0.1", "2130706433", "0x7f.1", "①②⑦.⓪.⓪.①"])
    def test_a_spelling_that_the_system_resolves_is_not_called(
        self, receiver: Receiver, settings: Settings, name: str
    ) -> None:
        settings.EGRESS_NETWORKS = []

        with pytest.raises(ConfigurationError):
            self.post(f"http://{name}:{receiver.port}/")
        with pytest.raises(ConfigurationError):
            egress._resolved(name, receiver.port)  # were it to get past the first look
        assert receiver.connections == 0

    def test_a_name_that_changes_its_mind_is_called_where_it_was_checked(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.EGRESS_NETWORKS = [ipaddress.ip_network("127.0.0.2/32")]
        with Receiver("127.0.0.2") as public, Receiver("127.0.0.1") as private:
            resolver = Resolver([["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]], monkeypatch)

            answer = self.post(f"http://rebinding.example:{public.port}/")

        assert (answer.status, resolver.asked, private.connections) == (204, 1, 0)
        assert public.calls[0].headers["Host"] == f"rebinding.example:{public.port}"

    def test_a_name_with_one_private_address_among_others_is_not_called(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.EGRESS_NETWORKS = [ipaddress.ip_network("127.0.0.2/32")]
        with Receiver("127.0.0.2") as public:
            Resolver([["127.0.0.2", "127.0.0.1"]], monkeypatch)

            with pytest.raises(ConfigurationError):
                self.post(f"http://both.example:{public.port}/")

        assert public.connections == 0

    def test_a_name_whose_first_address_is_dead_is_called_at_the_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Receiver("127.0.0.2") as receiver:
            Resolver([["127.0.0.3", "127.0.0.2"]], monkeypatch)

            assert self.post(f"http://two.example:{receiver.port}/").status == 204

    def test_redirects_are_not_followed(self, receiver: Receiver) -> None:
        receiver.always = answering(302, Location=receiver.url)

        with pytest.raises(ConfigurationError, match="302 Found") as caught:
            require_success(self.post(receiver.url))

        assert (len(receiver.calls), "enter the address" in caught.value.remedy) == (1, True)

    def test_a_proxy_of_the_environment_is_not_asked(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

        assert self.post(receiver.url).status == 204

    def test_of_a_huge_answer_only_the_beginning_is_read(self, receiver: Receiver) -> None:
        receiver.script = [endless]

        assert len(self.post(receiver.url).body) == egress.ANSWER_MAX
        assert vars(receiver)["written"] < 50_000_000

    def test_a_service_that_cannot_be_reached_is_tried_again(self, receiver: Receiver) -> None:
        with Receiver() as gone:
            pass

        with pytest.raises(RetryableError, match="does not answer"):
            self.post(gone.url)

    def test_a_name_that_nobody_knows_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Resolver([[]], monkeypatch)

        with pytest.raises(RetryableError, match=r"No address is known for the name nowhere.example"):
            self.post("http://nowhere.example/")

    @pytest.mark.parametrize("step", [hanging, dribbling, resetting, garbling])
    def test_an_answer_that_never_comes_leaves_the_outcome_open(self, receiver: Receiver, step: Any) -> None:
        receiver.script = [step]

        with pytest.raises(AmbiguousError):
            self.post(receiver.url)

    def test_a_line_goes_on_after_a_broken_call(self, receiver: Receiver) -> None:
        receiver.script = [resetting]

        with Line(receiver.url) as line:
            with pytest.raises(AmbiguousError):
                line.post(b"{}", {})
            assert line.post(b"{}", {}).status == 204

    def test_a_certificate_that_is_trusted_by_the_installation_is_accepted(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        file = certificate(tmp_path)
        settings.EGRESS_CA_FILE = str(file)

        with Receiver(tls=serving(file)) as receiver:
            assert self.post(receiver.url).status == 204

    def test_a_slow_answer_over_tls_ends_as_well(self, settings: Settings, tmp_path: Path) -> None:
        file = certificate(tmp_path)
        settings.EGRESS_CA_FILE = str(file)

        with Receiver(tls=serving(file)) as receiver:
            receiver.script = [dribbling]
            with pytest.raises(AmbiguousError, match="did not answer"):
                self.post(receiver.url)

    @pytest.mark.parametrize(
        ("name", "days", "trusted", "said"),
        [
            ("localhost", 1, False, "self-signed certificate"),
            ("localhost", -1, True, "certificate has expired"),
            ("other.example", 1, True, "Hostname mismatch"),
        ],
    )
    def test_a_certificate_that_is_not_valid_gets_no_submission(
        self, settings: Settings, tmp_path: Path, name: str, days: int, trusted: bool, said: str
    ) -> None:
        file = certificate(tmp_path, name, days)
        settings.EGRESS_CA_FILE = str(file) if trusted else ""

        with Receiver(tls=serving(file)) as receiver:
            with pytest.raises(RetryableError, match=said):
                self.post(receiver.url)
            assert receiver.calls == []

    def test_a_handshake_that_never_ends_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(egress, "CONNECT_SECONDS", 0.3)

        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(RetryableError, match="does not answer"):
            self.post(f"https://127.0.0.1:{silent.getsockname()[1]}/")

    def test_a_service_that_speaks_no_tls_is_told(self, receiver: Receiver) -> None:
        with pytest.raises(RetryableError, match="does not speak TLS"):
            self.post(receiver.url.replace("http:", "https:"))


class Resolver:
    """Answers for names of `.example`, differently each time it is asked; the rest is the system's."""

    def __init__(self, answers: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self._answers = answers
        self._system = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if not str(host).endswith(".example"):
            return self._system(host, port, *args, **kwargs)
        found = self._answers[self.asked]
        self.asked += 1
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]
