"""The two kinds: whom they write to, what they promise, and how a mail is not sent twice without need."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import orjson
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.sinks import suppression
from apps.sinks.builtin.email import caps, letter, line
from apps.sinks.builtin.email.addresses import AddressUnusableError, mailbox, parse
from apps.sinks.builtin.email.caps import DAY, HOUR, Cap
from apps.sinks.builtin.email.config import (
    RECIPIENTS_MAX,
    WRITTEN,
    ConfirmationConfig,
    NotificationConfig,
    no_such_question,
)
from apps.sinks.builtin.email.letter import Letter
from apps.sinks.builtin.email.line import Line
from apps.sinks.builtin.wording import values
from apps.sinks.builtin.wording.values import PLAIN, WORDS
from apps.sinks.contract import (
    AmbiguousError,
    BackpressureError,
    Batch,
    ConfigurationError,
    DeliveryError,
    Part,
    PermanentError,
    Policy,
    Preview,
    RetryableError,
    Sink,
    Submission,
)
from formhub.core.layout import Layout

TRIES = 5  # with an address that the mail server does not take for the moment
TRIES_SECONDS = 60.0
UNSURE_TRIES = 3  # of a mail for which there was no answer: each may be one in somebody's mailbox
COUNTER_SECONDS = 30.0
SHOWN = 200
EXAMPLE = "name@example.org"


@dataclass(slots=True)
class Progress:
    """What a batch has come to, kept with it: who has which mail, and how many attempts had no answer."""

    batch: Batch
    done: list[str] = field(default_factory=list)
    unsure: int = 0

    @classmethod
    def of(cls, batch: Batch) -> "Progress":
        found = orjson.loads(batch.kept) if batch.kept else {}
        return cls(batch, found.get("done", []), found.get("unsure", 0))

    def left(self, submission: Submission, to: Sequence[str]) -> list[str]:
        return [address for address in to if self._mark(submission, address) not in self.done]

    def has(self, submission: Submission, to: Sequence[str]) -> None:
        self.done += [self._mark(submission, address) for address in to]

    def keep(self) -> None:
        self.batch.keep(orjson.dumps({"done": self.done, "unsure": self.unsure}))

    def _mark(self, submission: Submission, address: str) -> str:
        return f"{submission.id} {caps.mark(address)}"


class Mail(Sink):
    """What both kinds share. One mail is one delivery: whatever happens to it happens to no other."""

    policy = Policy(max_items=1, max_seconds=1, ordered=False, repeatable=False)
    purpose: ClassVar[str]

    def deliver(self, batch: Batch) -> None:
        progress = Progress.of(batch)
        with Line() as opened:
            for part in batch.parts:
                for submission in part.submissions:
                    with _concerning(part, submission):
                        self._deliver(opened, batch, progress, part, submission)

    def check(self) -> str:
        written = self.sample()
        with Line() as opened:
            opened.open()
        where = line.server()
        said = (
            _("The mail server %(name)s answers.") % {"name": where}
            if where
            else _("There is no mail server: mails are written to the worker's console. Set EMAIL_HOST to send them.")
        )
        return f"{said} " + _("A mail would begin: %(subject)s / %(text)s") % {
            "subject": written.subject,
            "text": " ".join(written.text.split())[:SHOWN],
        }

    def preview(self, batch: Batch) -> Preview:
        """The mail of the first submission; links in it are those of an address that is nobody's."""
        part = batch.parts[0]
        try:
            to = self.recipients(part.submissions[0])
        except PermanentError:
            to = [EXAMPLE]  # made-up answers hold no address
        written, _headers = self.write(part, part.submissions[0], [EXAMPLE])
        said = {_("To"): ", ".join(to) or _("nobody: the question is empty"), _("Subject"): written.subject}
        return Preview("text/plain", written.text, said, written.html)

    def sample(self) -> Letter:
        """As a mail would read, with each question's key as its answer."""
        part = values.sample_of(self.config, (str(self.config[setting]) for setting in WRITTEN))
        return letter.write(self.config, part, part.submissions[0])

    @abstractmethod
    def recipients(self, submission: Submission) -> list[str]:
        """Nobody, where none is asked for. Raises PermanentError."""

    @abstractmethod
    def limits(self, part: Part, to: Sequence[str]) -> list[Cap]:
        """Beside those of the organization."""

    def full(self, found: caps.Full) -> DeliveryError:
        """What it means that a cap is used up."""
        return BackpressureError(
            _("As many mails were sent as may be sent at a time; the others follow."), after=min(found.seconds, HOUR)
        )

    @abstractmethod
    def write(self, part: Part, submission: Submission, to: Sequence[str]) -> tuple[Letter, dict[str, str]]:
        """The mail and its headers."""

    def remember(self, refused: Mapping[str, int], to: Sequence[str]) -> None:
        """The mail is through: which of these recipients the server refused."""

    def _deliver(self, opened: Line, batch: Batch, progress: Progress, part: Part, submission: Submission) -> None:
        to = self._wanted(self.recipients(submission))
        left = progress.left(submission, to)
        if not left:
            return
        if progress.unsure >= UNSURE_TRIES:
            # It may stand in somebody's mailbox as often already.
            message = _("The mail server did not say, %(count)d times, whether it took the mail.")
            raise PermanentError(message % {"count": progress.unsure}, code="outcome_unknown")
        with self._counted(f"{batch.id}/{submission.id}", progress, part, left):
            refused = self._send(opened, progress, part, submission, left)
            progress.has(submission, [address for address in left if address not in refused])
            progress.keep()
            if any(code < 500 for code in refused.values()) and batch.attempt < TRIES:
                raise _later(min(refused.values()))
            if len(refused) == len(to):
                raise _never(max(refused.values()))
        self.remember(refused, left)

    def _wanted(self, to: Sequence[str]) -> list[str]:
        suppressed = suppression.among(self.context.organization, to)
        wanted = [address for address in to if address not in suppressed]
        if to and not wanted:
            raise PermanentError(_("Whoever has this address wants no mails of yours."), code="suppressed")
        return wanted

    @contextmanager
    def _counted(self, mail: str, progress: Progress, part: Part, to: Sequence[str]) -> Iterator[None]:
        """A mail that is tried again counts once; one that certainly nobody got, and nobody will, not at all."""
        wanted = [*self.limits(part, to), *caps.of_organization(self.purpose, self.context.organization)]
        try:
            full = caps.take(mail, wanted)
        except caps.UncountedError as error:
            raise BackpressureError(
                _("It cannot be counted at present how many mails were sent: none is."), after=COUNTER_SECONDS
            ) from error
        if full is not None:
            raise self.full(full)
        try:
            yield
        except PermanentError:
            if not progress.unsure:
                caps.give_back(mail, wanted)
            raise

    def _send(
        self, opened: Line, progress: Progress, part: Part, submission: Submission, to: Sequence[str]
    ) -> dict[str, int]:
        written, headers = self.write(part, submission, to)
        message = written.message(to, headers, self.config.get("reply_to", ""))
        try:
            return opened.send(message, to)
        except AmbiguousError:
            progress.unsure += 1
            progress.keep()
            raise


class Confirmation(Mail):
    name, label = "email_confirmation", "E-mail to the respondent"
    description = gettext_lazy("Whoever sends a submission gets a mail that says so.")  # type: ignore[assignment]
    Config = ConfirmationConfig
    purpose = "confirmation"

    @classmethod
    def destination(cls, config: Mapping[str, Any]) -> str:
        return "respondents"

    @classmethod
    def misfits(cls, config: Mapping[str, Any], layout: Layout) -> dict[str, str]:
        found = values.unknown(config, WRITTEN, layout, (*PLAIN, "answers"))
        if config["address_field"] not in {column.key for column in layout.columns}:
            found["address_field"] = no_such_question(config["address_field"], layout)
        return found

    def recipients(self, submission: Submission) -> list[str]:
        """Who left the question empty is written no mail."""
        given = submission.answers.get(self.config["address_field"])
        if given in (None, ""):
            return []
        try:
            return [parse(given)]
        except AddressUnusableError:
            raise PermanentError(
                _("The answer to the question with the address is not one e-mail address."), code="invalid_address"
            ) from None

    def limits(self, part: Part, to: Sequence[str]) -> list[Cap]:
        who = f"to:{self.context.organization}:{caps.mark(mailbox(to[0]))}"
        return [
            Cap(f"{who}:{part.binding}", HOUR, settings.MAIL_CONFIRMATIONS_PER_RECIPIENT_HOUR),
            Cap(who, DAY, settings.MAIL_CONFIRMATIONS_PER_RECIPIENT_DAY),
        ]

    def full(self, found: caps.Full) -> DeliveryError:
        """What somebody is spared for now they need not get later."""
        if not found.cap.key.startswith("to:"):
            return super().full(found)
        message = _("This address was sent as many mails as it may be: no more than %(most)d in %(hours)d h.")
        return PermanentError(
            message % {"most": found.cap.most, "hours": found.cap.seconds // HOUR}, code="recipient_limit"
        )

    def check(self) -> str:
        _check_address()
        return super().check()

    def write(self, part: Part, submission: Submission, to: Sequence[str]) -> tuple[Letter, dict[str, str]]:
        _check_address()
        link = suppression.link(self.context.organization, to[0])
        foot = [
            (_("You get this mail because this address was given in the form “%s”.") % part.form_title, ""),
            (_("No more mails of this kind:"), link),
        ]
        if not self.config.get("answers"):
            part = replace(part, layout=Layout(()))  # whatever the text names
        unsubscribe = {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        return (
            letter.write(self.config, part, submission, foot),
            letter.headers(part, submission, settings.DEFAULT_FROM_EMAIL) | unsubscribe,
        )


class Notification(Mail):
    name, label = "email_notification", "E-mail to the team"
    description = gettext_lazy("Each submission is mailed to people of your own.")  # type: ignore[assignment]
    Config = NotificationConfig
    purpose = "notification"

    @classmethod
    def destination(cls, config: Mapping[str, Any]) -> str:
        return ", ".join(sorted(_team(config)))

    @classmethod
    def misfits(cls, config: Mapping[str, Any], layout: Layout) -> dict[str, str]:
        return values.unknown(config, WRITTEN, layout, WORDS)

    @classmethod
    def notices(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
        known = [address for address in _team(config) if address in state.get("refused", ())]
        if not known:
            return []
        said = ngettext(
            "The mail server refuses %(who)s. Correct the address, or remove it.",
            "The mail server refuses %(who)s. Correct the addresses, or remove them.",
            len(known),
        )
        return [said % {"who": ", ".join(known)}]

    def recipients(self, submission: Submission) -> list[str]:
        return _team(self.config)

    def limits(self, part: Part, to: Sequence[str]) -> list[Cap]:
        found = []
        for address in to:
            who = f"team:{self.context.organization}:{caps.mark(mailbox(address))}"
            found.append(Cap(f"{who}:hour", HOUR, settings.MAIL_NOTIFICATIONS_PER_RECIPIENT_HOUR))
            found.append(Cap(f"{who}:day", DAY, settings.MAIL_NOTIFICATIONS_PER_RECIPIENT_DAY))
        return list(dict.fromkeys(found))

    def write(self, part: Part, submission: Submission, to: Sequence[str]) -> tuple[Letter, dict[str, str]]:
        headers = letter.headers(part, submission, settings.DEFAULT_FROM_EMAIL)
        return letter.write(self.config, part, submission), headers

    def remember(self, refused: Mapping[str, int], to: Sequence[str]) -> None:
        """Known until the server takes a mail for them again."""
        others = [address for address in self.context.state.get("refused", ()) if address not in to]
        self.context.state["refused"] = [*others, *refused][:RECIPIENTS_MAX]


def _team(config: Mapping[str, Any]) -> list[str]:
    return str(config["recipients"]).split()


def _check_address() -> None:
    """Nobody is written to who could not put an end to it. Raises ConfigurationError."""
    if not settings.PUBLIC_URL:
        raise ConfigurationError(
            _("Recipients could not unsubscribe: this installation does not know its own address."),
            remedy=_("Ask the operator to set PUBLIC_URL."),
        )


def _later(code: int) -> RetryableError:
    said = _("The mail server does not take the mail for this address at present (%(code)d).")
    return RetryableError(said % {"code": code}, after=TRIES_SECONDS)


def _never(code: int) -> PermanentError:
    said = _("The mail server refuses the address (%(code)d).") % {"code": code}
    return PermanentError(said, code="recipient_refused" if code >= 500 else "recipient_unavailable")


@contextmanager
def _concerning(part: Part, submission: Submission) -> Iterator[None]:
    """What is refused is this submission, for this action."""
    try:
        yield
    except PermanentError as error:
        error.part, error.ids = part.binding, frozenset({submission.id})
        raise
