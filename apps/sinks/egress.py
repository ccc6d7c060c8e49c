"""The one way out to an address that somebody typed: a POST that reaches public web services and nothing else.

The name is resolved, every address it has is checked, and the connection is made to one of the very addresses that
were checked: a name that answers differently a moment later gains nothing. `Host`, SNI and the certificate's name stay
the one that was typed. No redirect is followed, no proxy of the environment is used, no more than ANSWER_MAX of an
answer is read, and every wait ends: that for the name by the settings of the system's resolver, the others here.

    with Line(config["url"]) as line:
        require_success(line.post(body, headers))

Both raise the DeliveryError family. Messages name the host and never the rest of an address: it may hold a secret.
"""

import http.client
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Self, cast
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from apps.sinks.contract import (
    AmbiguousError,
    BackpressureError,
    ConfigurationError,
    PermanentError,
    RetryableError,
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CONNECT_SECONDS = 5.0  # to reach one of the name's addresses; the handshake of TLS may take as long again
READ_SECONDS = 10.0  # between two pieces of an answer
TOTAL_SECONDS = 15.0  # for one request, once connected
ANSWER_MAX = 65_536
ADDRESSES_TRIED = 4
URL_LENGTH = 2000
FULL_SECONDS = 60.0  # after 429 without Retry-After
FULL_LONGEST = 3600.0

# IANA's special-purpose blocks, and what else is nobody's public web service. Of IPv6 only 2000::/3 is given out: that
# leaves out most of what wraps an IPv4 address (::/96, ::ffff:0:0/96, 64:ff9b::/96), fc00::/7, fe80::/10, fec0::/10 and
# ff00::/8.
GLOBAL_6 = ipaddress.ip_network("2000::/3")
REFUSED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's metadata
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # Teredo and other protocols
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)
_PLAIN = re.compile(r"[!-\[\]-~]+")  # ASCII that is seen, without the backslash
_NAME = re.compile(r"[a-z0-9_.-]{1,253}")
_NUMERIC = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")

REMEDIES: Mapping[int, Any] = {
    401: lambda: _("Enter the credentials that the service asks for, and resume."),
    403: lambda: _("Allow these calls at the service, or enter other credentials, and resume."),
    404: lambda: _("Correct the address in the action's settings, and resume."),
    410: lambda: _("The service wants no more calls at this address. Enter another one, or delete the action."),
}


class AddressError(ValueError):
    """An address that is never called; the message says what to change."""


class WebAddressField(forms.CharField):
    """A setting: an address that may be called, as it was typed."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": URL_LENGTH, **kwargs})

    def clean(self, value: Any) -> str:
        url: str = super().clean(value)
        try:
            if url:
                target(url)
        except AddressError as error:
            raise ValidationError(str(error)) from None
        return url


@dataclass(frozen=True, slots=True)
class Target:
    """An address taken apart once: whoever checks it and whoever calls it see the same host."""

    https: bool
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Answer:
    """retry_after: seconds that the service asks to wait. body: its beginning."""

    status: int
    retry_after: float | None
    body: bytes


def target(url: str) -> Target:
    """Raises AddressError. The names in it are resolved only when it is called."""
    if len(url) > URL_LENGTH or not _PLAIN.fullmatch(url):
        raise AddressError(_("Write the address in ASCII, without spaces and backslashes (xn-- for other letters)."))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressError(_("This is no address of the web.")) from None
    if parts.scheme not in ("https", *(["http"] if settings.EGRESS_HTTP else [])):
        allowed = "https:// or http://" if settings.EGRESS_HTTP else "https://"
        raise AddressError(_("The address begins with %(scheme)s.") % {"scheme": allowed})
    if "@" in parts.netloc:
        raise AddressError(_("Leave out user name and password; send them in a header."))
    if "#" in url:
        raise AddressError(_("Leave out # and what follows it."))
    https = parts.scheme == "https"
    port = port if port is not None else (443 if https else 80)
    if not port or (settings.EGRESS_PORTS and port not in settings.EGRESS_PORTS):
        ports = ", ".join(map(str, settings.EGRESS_PORTS))
        raise AddressError(_("Port %(port)d is not called, only %(ports)s.") % {"port": port, "ports": ports})
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(https, _host(parts.hostname or ""), port, path)


def is_allowed(address: Address) -> bool:
    """Whether it is a public one, or of a network that this installation lets organizations call."""
    if any(address in network for network in settings.EGRESS_NETWORKS):
        return True
    if address.version == 6 and address not in GLOBAL_6:
        return False
    return address.is_global and not any(address in network for network in REFUSED)


def require_success(answer: Answer) -> None:
    """Whatever is not 2xx, told by what it means for the delivery. Raises the DeliveryError family."""
    status = answer.status
    if 200 <= status < 300:
        return
    said = _("The service answered %(status)s.") % {"status": _named(status)}
    if status == 429:
        after = FULL_SECONDS if answer.retry_after is None else answer.retry_after
        raise BackpressureError(said, after=min(max(after, 1.0), FULL_LONGEST))
    if status in REMEDIES:
        raise ConfigurationError(said, remedy=REMEDIES[status]())
    if 300 <= status < 400:
        remedy = _("Redirects are not followed: enter the address that it leads to, and resume.")
        raise ConfigurationError(said, remedy=remedy)
    if 400 <= status < 500 and status != 408:
        raise PermanentError(said, code=f"http_{status}")
    raise AmbiguousError(said)


class Line:
    """Requests to one address, one after the other, over one connection while the service keeps it open."""

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError."""
        try:
            found = target(url)
        except AddressError as error:
            remedy = _("Correct the address in the action's settings, and resume.")
            raise ConfigurationError(str(error), remedy=remedy) from error
        self._target = found
        self._connection = _Connection(found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Whatever the service answers. Raises RetryableError, ConfigurationError and AmbiguousError."""
        if self._connection.sock is None:
            self._connect()
        try:
            self._connection.begin()
            self._connection.request("POST", self._target.path, body, dict(headers))
            return self._answer(self._connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            late = isinstance(error, TimeoutError)
            said = _("%(host)s took the call and did not answer.") if late else _("%(host)s broke the call off.")
            raise AmbiguousError(said % {"host": self._target.host}) from error

    def _connect(self) -> None:
        host = {"host": self._target.host}
        try:
            self._connection.connect()
        except ssl.SSLCertVerificationError as error:
            said = _("The certificate of %(host)s is not valid: %(why)s.")
            raise RetryableError(said % (host | {"why": error.verify_message})) from error
        except ssl.SSLError as error:
            raise RetryableError(_("%(host)s does not speak TLS as it should.") % host) from error
        except OSError as error:
            raise RetryableError(_("%(host)s does not answer.") % host) from error

    def _answer(self, response: http.client.HTTPResponse) -> Answer:
        """With the status the outcome is known: what happens to the rest of the answer changes nothing."""
        try:
            body = response.read(ANSWER_MAX)
        except (OSError, http.client.HTTPException):
            body = b""
        if not response.isclosed():
            response.close()
            self._connection.close()
        return Answer(response.status, _seconds(response.getheader("Retry-After")), body)


class _Timed(socket.socket):
    """Ends every wait at the deadline, however little comes at a time."""

    deadline = float("inf")

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._hurry()
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any) -> int:
        self._hurry()
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        self._hurry()
        super().sendall(*args)

    def _hurry(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(min(left, READ_SECONDS))


class _TimedTls(_Timed, ssl.SSLSocket):
    pass


class _Connection(http.client.HTTPConnection):
    """To an address that was checked."""

    auto_open = 0
    sock: _Timed

    def __init__(self, target: Target) -> None:
        self.default_port = 443 if target.https else 80
        super().__init__(target.host, target.port)
        self._https = target.https

    def connect(self) -> None:
        """Raises OSError, and RetryableError or ConfigurationError by what the name leads to."""
        found = _resolved(self.host, self.port)[:ADDRESSES_TRIED]
        end = time.monotonic() + CONNECT_SECONDS
        for number, place in enumerate(found):
            # One that does not answer leaves the others their share of the time.
            share = max(0.1, (end - time.monotonic()) / (len(found) - number))
            try:
                self.sock = self._opened(place, share)
                return
            except ssl.SSLError:
                raise
            except OSError:
                if number == len(found) - 1:
                    raise

    def begin(self) -> None:
        self.sock.deadline = time.monotonic() + TOTAL_SECONDS

    def _opened(self, place: tuple[Any, Any], seconds: float) -> _Timed:
        family, address = place
        sock = _Timed(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(seconds)
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self._https:
                return sock
            wrapped = _trust(settings.EGRESS_CA_FILE).wrap_socket(sock, server_hostname=self.host.rstrip("."))
            return cast(_TimedTls, wrapped)
        except OSError:
            sock.close()
            raise


def _resolved(host: str, port: int) -> list[tuple[Any, Any]]:
    """Family and address of each, all of them checked. Raises RetryableError, ConfigurationError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise RetryableError(_("No address is known for the name %(host)s.") % {"host": host}) from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if not all(is_allowed(address) for address in addresses):
        raise ConfigurationError(
            _("%(host)s does not lead to a public address.") % {"host": host},
            remedy=_("Enter the address of a service that can be reached from the internet, and resume."),
        )
    return [(entry[0], entry[4]) for entry in found]


def _host(host: str) -> str:
    """Raises AddressError."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # What ends in a number is an IP address in one of its odd spellings: 127.1, 0177.0.0.1, 2130706433.
        if not _NAME.fullmatch(host) or _NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]):
            raise AddressError(_("Name the host by its domain, or by an IP address in its plain spelling.")) from None
        return host
    if not is_allowed(address):
        raise AddressError(_("This is not a public address."))
    return host


@lru_cache(maxsize=4)
def _trust(file: str) -> ssl.SSLContext:
    """The authorities that the web trusts, those of the system, and those of a file."""
    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    if file:
        context.load_verify_locations(file)
    context.sslsocket_class = _TimedTls
    return context


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _seconds(text: str | None) -> float | None:
    """Of a Retry-After: a number, or a date of HTTP."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text.strip()[:9])
    try:
        return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
