"""The surface that a sink plug-in is written against. Everything public here is kept stable under API_VERSION.

A sink takes the submissions of a form to one outside service. It is a class with one verb:

    class Ticker(Sink):
        name, label = "ticker", "Ticker"
        Config = TickerConfig
        policy = Policy(max_items=100, ordered=False)

        @classmethod
        def destination(cls, config):
            return config["url"]

        def deliver(self, batch):
            for part in batch.parts:
                ...

Returning from `deliver` means delivered. Anything else is told by the class of the error, named by what happens next:
RetryableError, BackpressureError, PermanentError, ConfigurationError, RelocatedError, AmbiguousError. Offsets,
retries, deadlines, rate limits, leases, the ledger, logs and metrics are the engine's; a plug-in only speaks to its
service.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import orjson
from django import forms

from formhub.core.clock import Clock, SystemClock
from formhub.core.layout import Layout

API_VERSION = 1

__all__ = [
    "API_VERSION",
    "Account",
    "AmbiguousError",
    "BackpressureError",
    "Batch",
    "ConfigurationError",
    "Confirmation",
    "Context",
    "DeliveryError",
    "Part",
    "PermanentError",
    "Policy",
    "Preview",
    "Rate",
    "RelocatedError",
    "RetryableError",
    "SecretField",
    "Sink",
    "Submission",
]


class DeliveryError(Exception):
    """Base of the family. `part` names the binding that is concerned; None means the whole batch.

    The message is shown to the owner of the form: it says what happened and never holds an answer or a secret.
    """

    def __init__(self, message: str = "", *, part: int | None = None) -> None:
        super().__init__(message)
        self.part = part


class RetryableError(DeliveryError):
    """Certainly not delivered; try the same batch again, after `after` seconds or by the policy's schedule."""

    def __init__(self, message: str = "", *, after: float | None = None, part: int | None = None) -> None:
        super().__init__(message, part=part)
        self.after = after


class BackpressureError(DeliveryError):
    """Certainly not delivered, because the service (or our quota for it) is full. It counts as no attempt.

    rates: names of the policy's rates that are used up; none named: all of them.
    """

    def __init__(
        self, message: str = "", *, after: float, rates: frozenset[str] = frozenset(), part: int | None = None
    ) -> None:
        super().__init__(message, part=part)
        self.after = after
        self.rates = rates


class PermanentError(DeliveryError):
    """Certainly not delivered, because of the data. `ids` are parked and the rest goes on; without them the engine
    splits the batch until the submissions that are refused stand alone.
    """

    def __init__(
        self, message: str = "", *, code: str, ids: frozenset[UUID] | None = None, part: int | None = None
    ) -> None:
        super().__init__(message, part=part)
        self.code = code
        self.ids = ids


class ConfigurationError(DeliveryError):
    """Certainly not delivered, and nothing will be until a person changes something: `remedy` says what.

    The binding is paused and its owner is told once; resuming delivers what has gathered.
    """

    def __init__(self, message: str = "", *, remedy: str, part: int | None = None) -> None:
        super().__init__(message, part=part)
        self.remedy = remedy


class RelocatedError(DeliveryError):
    """Certainly not delivered, and from now on to be delivered elsewhere: the binding goes on with changed settings.

    changes: the settings that are new; never secret ones. They lead to another destination.
    """

    part: int

    def __init__(self, message: str = "", *, changes: Mapping[str, Any], part: int) -> None:
        super().__init__(message, part=part)
        self.changes = changes


class AmbiguousError(DeliveryError):
    """Perhaps delivered: the answer was lost. With `policy.repeatable` the same batch is offered again; otherwise
    `confirm` is asked first.
    """


class Confirmation(StrEnum):
    """The answer of `Sink.confirm`: the batch landed, is absent and can no longer land, or nobody can say."""

    LANDED = "landed"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `calls` in `seconds` for everything that shares one key; `Sink.rate_keys` gives the key by `name`."""

    name: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Account:
    """Who speaks to the service. rate_keys: under which key each rate of the policy is counted for it, by name."""

    name: str
    rate_keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Policy:
    """How the engine treats a kind. Sizes in submissions and bytes of answers, times in seconds.

    ordered: batches of a binding follow the log without gap. repeatable: offering a batch again is harmless.
    max_seconds: how long a submission waits at most for others. retry_seconds: the waits after each failed attempt;
    empty means doubling from 1 s to 64 s for as long as needed. timeout: bound of one `deliver` call.
    """

    max_items: int = 1000
    max_bytes: int = 1_500_000
    max_seconds: float = 10.0
    ordered: bool = True
    repeatable: bool = False
    rates: tuple[Rate, ...] = ()
    retry_seconds: tuple[float, ...] = ()
    timeout: float = 50.0


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission as it was accepted. `position` grows along the form's log; `late`: it came through the outbox."""

    id: UUID
    form: UUID
    version: int
    position: int
    accepted_at: datetime
    answers: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)
    late: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """The share of one binding in a batch: its settings (secrets opened), its form's columns, its submissions.

    pages: the address that, followed by a submission's id, shows it to those who may read it; empty if there is none.
    """

    binding: int
    form: UUID
    form_title: str
    config: Mapping[str, Any]
    layout: Layout
    submissions: tuple[Submission, ...]
    pages: str = ""

    def link(self, submission: Submission) -> str:
        return f"{self.pages}{submission.id}/" if self.pages else ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call delivers. `id` and the submissions are the same on every repeat.

    sequence: counts the destination's batches from 1. attempt: 1 on the first offer. ambiguous: when an earlier
    attempt last ended without an answer. late: it was asked for again, back-filled or found missing, so that some
    of it may have landed before: a kind that can look, looks. account: the one of `Sink.accounts` that the engine
    chose; a batch that may have landed keeps it. kept: what a former attempt stored through `keep`, which writes a
    rendered body down durably before it is sent.
    """

    id: UUID
    sequence: int
    destination: str
    parts: tuple[Part, ...]
    attempt: int = 1
    ambiguous: datetime | None = None
    late: bool = False
    account: str = ""
    kept: bytes | None = None
    keep: Callable[[bytes], None] = lambda body: None

    @property
    def ids(self) -> list[UUID]:
        return [submission.id for part in self.parts for submission in part.submissions]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a batch would be at the service, for people to look at; it never holds a secret.

    content_type: of `text`; a table is text/csv, its first row the headers. headers: what goes along, by name.
    html: the same once more as a page, which is shown where it can do nothing.
    """

    content_type: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    html: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What the engine lends a sink. state: the destination's small JSON memory, stored after each call, lost without
    harm. spend(name): takes one call of the rate `name` or raises BackpressureError; `deliver` itself has already
    been charged one call of each rate.
    """

    organization: UUID
    state: MutableMapping[str, Any] = field(default_factory=dict)
    spend: Callable[[str], None] = lambda name: None
    clock: Clock = field(default_factory=SystemClock)


class SecretField(forms.CharField):
    """A setting that is encrypted at rest, never shown again, and kept when the form is sent with it empty."""

    is_secret = True

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}))
        super().__init__(**kwargs)


class Sink(ABC):
    """One kind of action. An instance serves one call with one binding's settings (a batch's first part's).

    exclusive: a destination belongs to the first organization that names it; others are refused.
    """

    api_version: ClassVar[int] = API_VERSION
    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str] = ""
    Config: ClassVar[type[forms.Form]]
    policy: ClassVar[Policy] = Policy()
    exclusive: ClassVar[bool] = False

    def __init__(self, config: Mapping[str, Any], context: Context) -> None:
        self.config = config
        self.context = context

    @classmethod
    @abstractmethod
    def destination(cls, config: Mapping[str, Any]) -> str:
        """What is leased and rate-limited together within the organization: a spreadsheet, an endpoint."""

    @classmethod
    def account(cls, config: Mapping[str, Any]) -> str:
        """Who speaks to the service. Empty where it makes no difference."""
        return ""

    @classmethod
    def rate_keys(cls, config: Mapping[str, Any]) -> Mapping[str, str]:
        """The key under which each rate of the policy is counted; by default the destination for all."""
        return {rate.name: cls.destination(config) for rate in cls.policy.rates}

    @classmethod
    def accounts(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> Sequence[Account]:
        """Where a kind has several: the engine takes, for each batch, the one with the most calls left.

        `state` is the destination's memory. By default there is one, of `account` and `rate_keys`.
        """
        return (Account(cls.account(config), cls.rate_keys(config)),)

    @classmethod
    def notices(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> Sequence[str]:
        """What its owner should know before it becomes trouble, as far as the destination's memory tells."""
        return ()

    @classmethod
    def misfits(cls, config: Mapping[str, Any], layout: Layout) -> Mapping[str, str]:
        """What in the settings does not fit a form with these columns: by setting, what is wrong and the remedy.

        Asked when settings are saved. The form may change later, so `deliver` still has to cope.
        """
        return {}

    @abstractmethod
    def deliver(self, batch: Batch) -> None:
        """Take the batch to the service. Returning means delivered; raises the DeliveryError family."""

    def confirm(self, batch: Batch) -> Confirmation:
        """After AmbiguousError: find out. Called only where the policy is not repeatable."""
        return Confirmation.UNKNOWN

    def present(self) -> Iterator[Sequence[UUID]] | None:
        """The submissions that the service shows under these settings, page by page; None if it cannot tell.

        Each page may be a call, for which the kind spends its rates. Raises the DeliveryError family.
        """
        return None

    def preview(self, batch: Batch) -> Preview:
        """What `deliver` would send for the batch, without speaking to anybody. By default its answers, as JSON."""
        sent = [
            {"id": each.id, "accepted_at": each.accepted_at, "answers": each.answers}
            for part in batch.parts
            for each in part.submissions
        ]
        return Preview("application/json", orjson.dumps(sent, option=orjson.OPT_INDENT_2).decode())

    @abstractmethod
    def check(self) -> str:
        """Try the settings without touching a submission; a sentence on what was found. Raises ConfigurationError."""
