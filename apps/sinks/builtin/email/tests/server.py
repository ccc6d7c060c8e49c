"""A mail server in the test's process: real SMTP on a free port, and every way of failing that a test asks for."""

import asyncio
import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import Enum, auto
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session

from deploy.local.process import free_port


class Fault(Enum):
    """Each for one mail; `LATE` and `DROP_AFTER` take the mail, the others do not."""

    BUSY = auto()  # 421 at once
    DROP_BEFORE = auto()  # the line breaks before the mail is sent
    DROP_AFTER = auto()  # it breaks after the mail was taken, before the answer
    LATE = auto()  # the answer comes when nobody waits any more
    FULL = auto()  # 452 after the mail
    REFUSE = auto()  # 554 after the mail
    REFUSE_SENDER = auto()  # 553


@dataclass(frozen=True)
class Taken:
    sender: str
    to: tuple[str, ...]
    message: EmailMessage

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def html(self) -> str:
        return self._body("html")

    def _body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert part is not None
        return str(part.get_content())


@dataclass
class MailServer:
    """codes: what is said of a recipient, where it is not welcome. connections: how many there were."""

    port: int = field(default_factory=free_port)
    taken: list[Taken] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    connections: int = 0
    late_seconds: float = 0.6

    def to(self, address: str) -> list[Taken]:
        return [mail for mail in self.taken if address in mail.to]

    @contextmanager
    def running(self, **options: Any) -> Iterator["MailServer"]:
        controller = Controller(_Handler(self), hostname="127.0.0.1", port=self.port, **options)
        controller.start()
        try:
            yield self
        finally:
            controller.stop()

    def next_is(self, *faults: Fault) -> bool:
        return bool(self.faults) and self.faults[0] in faults


class _Handler:
    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def handle_EHLO(  # noqa: N802 - the name that aiosmtpd looks for
        self, smtp: Any, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self._server.connections += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self, smtp: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._server.next_is(Fault.BUSY):
            self._server.faults.pop(0)
            return "421 Too many mails"
        if self._server.next_is(Fault.REFUSE_SENDER):
            self._server.faults.pop(0)
            return "553 Not your address"
        envelope.mail_from = address
        return "250 Go on"

    async def handle_RCPT(  # noqa: N802
        self, smtp: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self._server.codes:
            return f"{self._server.codes[address]} Not {address}"
        if self._server.next_is(Fault.DROP_BEFORE):
            self._server.faults.pop(0)
            smtp.transport.abort()
        envelope.rcpt_tos.append(address)
        return "250 Welcome"

    async def handle_DATA(self, smtp: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        fault = self._server.faults.pop(0) if self._server.faults else None
        if fault is Fault.FULL:
            return "452 No room"
        if fault is Fault.REFUSE:
            return "554 Looks like spam"
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self._server.taken.append(Taken(str(envelope.mail_from), tuple(envelope.rcpt_tos), message))
        if fault is Fault.DROP_AFTER:
            smtp.transport.abort()
        if fault is Fault.LATE:
            await asyncio.sleep(self._server.late_seconds)
        return "250 Taken"


def nobody(*_: object) -> AuthResult:
    """An authenticator that knows none."""
    return AuthResult(success=False, handled=False)
