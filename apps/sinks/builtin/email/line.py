"""The line to the mail server: one connection for a batch, and what each way of failing means.

The server is reached through Django's mail backends. With SMTP the steps are taken one by one, because what a lost
connection means hangs on how far it had come: until the mail itself was sent nobody can have it, afterwards somebody
may. What a server says is never repeated, for it may quote an address; its code is.
"""

import re
import smtplib
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.utils import parseaddr
from types import TracebackType
from typing import Any, Self, TypeVar

from django.conf import settings
from django.core import mail
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _

from apps.sinks.contract import AmbiguousError, ConfigurationError, PermanentError, RetryableError

STEPS_SECONDS = 25.0  # for all steps of a mail before it is sent
ANSWER_SECONDS = 20.0  # for the server to say that it has it; it may look through it first
_OF_TLS = "EMAIL_PORT, EMAIL_USE_TLS, EMAIL_USE_SSL"
_T = TypeVar("_T")


class Line:
    """Opened by the first mail. Every call raises the DeliveryError family, without naming a submission or a part."""

    def __init__(self) -> None:
        self._backend: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._backend is not None:
            _close(self._backend)

    def open(self) -> None:
        if self._backend is None:
            backend = mail.get_connection()
            try:
                _open(backend)
            except BaseException:
                _close(backend)
                raise
            self._backend = backend

    def send(self, message: EmailMessage, to: Sequence[str]) -> dict[str, int]:
        """The addresses that the server refused, with its codes; for the others it has the mail."""
        self.open()
        smtp = getattr(self._backend, "connection", None)
        if isinstance(smtp, smtplib.SMTP):
            return _Transaction(smtp, message).run(to)
        message.to = list(to)
        try:
            self._backend.send_messages([message])
        except OSError as error:
            raise RetryableError(_("The mail could not be handed over.")) from error
        return {}


class _Transaction:
    def __init__(self, smtp: smtplib.SMTP, message: EmailMessage) -> None:
        self._smtp = smtp
        self._sender = parseaddr(message.from_email)[1]
        made: Any = message.message()  # Django's own class, which knows how lines end in a mail
        self._body: bytes = made.as_bytes(linesep="\r\n")
        self._end = time.monotonic() + STEPS_SECONDS

    def run(self, to: Sequence[str]) -> dict[str, int]:
        self._begin()
        refused = {address: code for address in to if not 200 <= (code := self._recipient(address)) < 300}
        if len(refused) == len(to):
            self._step(self._smtp.rset)
        else:
            self._send()
        return refused

    def _begin(self) -> None:
        self._step(self._smtp.ehlo_or_helo_if_needed)
        options = ["BODY=8BITMIME"] if self._smtp.has_extn("8bitmime") else []
        code, _text = self._step(lambda: self._smtp.mail(self._sender, options))
        if code >= 500:
            raise ConfigurationError(
                _("The mail server does not take mail from our address (%(code)d).") % {"code": code},
                remedy=_("Ask the operator to set DEFAULT_FROM_EMAIL to an address that the mail server lets us use."),
            )
        _expect(code, 250)

    def _recipient(self, address: str) -> int:
        code, _text = self._step(lambda: self._smtp.rcpt(address))
        if code == 421:  # not of the address: the server is closing the line
            raise _busy(code)
        return code

    def _send(self) -> None:
        code, _text = self._step(lambda: self._smtp.docmd("DATA"))
        if code == 354:
            code = self._hand_over()
        if code >= 500:
            raise PermanentError(
                _("The mail server refuses the mail (%(code)d).") % {"code": code}, code="mail_refused"
            )
        _expect(code, 250)

    def _hand_over(self) -> int:
        """From the first byte of the mail on, a line that breaks leaves it open whether somebody has it."""
        lines = self._body if self._body.endswith(b"\r\n") else self._body + b"\r\n"
        try:
            self._patience(ANSWER_SECONDS)
            self._smtp.send(re.sub(rb"(?m)^\.", b"..", lines) + b".\r\n")
            code, _text = self._smtp.getreply()
        except OSError as error:
            raise AmbiguousError(_("The mail server did not say whether it took the mail.")) from error
        return code

    def _step(self, call: Callable[[], _T]) -> _T:
        try:
            self._patience(self._end - time.monotonic())
            return call()
        except OSError as error:
            raise RetryableError(_("The mail server broke off.")) from error

    def _patience(self, seconds: float) -> None:
        if seconds <= 0:
            raise TimeoutError
        if self._smtp.sock is not None:
            self._smtp.sock.settimeout(seconds)


def server() -> str:
    """Where mails go, in words; empty for no mail server at all."""
    backend = str(settings.EMAIL_BACKEND)
    if backend.endswith(".smtp.EmailBackend"):
        return f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    return "" if backend.endswith((".console.EmailBackend", ".dummy.EmailBackend")) else backend


def _open(backend: Any) -> None:
    try:
        backend.open()
    except smtplib.SMTPAuthenticationError as error:
        if error.smtp_code < 500:
            raise _busy(error.smtp_code) from error
        raise ConfigurationError(
            _("The mail server does not accept our name and password (%(code)d).") % {"code": error.smtp_code},
            remedy=_("Ask the operator to check EMAIL_HOST_USER and EMAIL_HOST_PASSWORD."),
        ) from error
    except (smtplib.SMTPNotSupportedError, ssl.SSLCertVerificationError) as error:
        raise ConfigurationError(
            _("No safe connection to the mail server can be made."),
            remedy=_("Ask the operator to check %(names)s, and the server's certificate.") % {"names": _OF_TLS},
        ) from error
    except OSError as error:  # every error of smtplib is one
        raise RetryableError(_("The mail server does not answer.")) from error


def _close(backend: Any) -> None:
    """What was taken is taken; whether the server hears our farewell changes nothing."""
    with suppress(OSError):
        backend.close()


def _expect(code: int, wanted: int) -> None:
    if code != wanted:
        raise _busy(code)


def _busy(code: int) -> RetryableError:
    return RetryableError(_("The mail server takes no mail at present (%(code)d).") % {"code": code})
