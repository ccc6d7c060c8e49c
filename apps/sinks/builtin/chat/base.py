"""What all chats share: a message from the owner's text, cut to what the service takes, posted once per submission.

Answers are words of strangers: they are put in so that none of them names anybody, hides an address behind a word, or
changes how the rest is shown. `plain` of each kind says how its service is told so.
"""

import hashlib
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

import orjson
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.wording import placeholders, values
from apps.sinks.contract import (
    Batch,
    ConfigurationError,
    DeliveryError,
    Part,
    PermanentError,
    Policy,
    Preview,
    Rate,
    SecretField,
    Sink,
    Submission,
)
from apps.sinks.egress import Answer, Line, WebAddressField, require_success
from formhub.core.layout import Layout

MINUTE, HOUR = 60.0, 3600.0
# Over a day: where an answer was lost each try may be one more message, so there are no more of them.
RETRY_SECONDS = (5.0, 30.0, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 14 * HOUR)
TEXT_MAX = 2_000  # characters of the owner's own text
LINE_MAX = 500  # characters of one answer in the list of all: a long one leaves room for the others
OURS = ("link", "id", "accepted_at")  # placeholders whose values nobody else wrote
HEADERS = {"Content-Type": "application/json", "User-Agent": "FormHub-Chat/1"}
# What would name somebody who reads along: but not the @ of an address.
_NAMING = re.compile(r"(?<!\w)@(?=\w)")
# What nobody sees and some service refuses.
_CONTROLS = dict.fromkeys(code for code in (*range(32), 127) if chr(code) not in "\n\t")
# What is left of something that stood for one letter, when a text is cut.
_TORN = re.compile(r"(?:&\w{0,5}|\\)$")


def policy(*rates: Rate) -> Policy:
    """One submission is one message: whatever happens to it happens to no other."""
    return Policy(max_items=1, max_seconds=1, ordered=False, rates=rates, retry_seconds=RETRY_SECONDS)


class ChatConfig(forms.Form):
    text = forms.CharField(
        label=gettext_lazy("message"),
        max_length=TEXT_MAX,
        initial=gettext_lazy("New answers to {{ form }}\n{{ answers }}\n{{ link }}"),
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=gettext_lazy(
            "{{ answers }} (all of them), {{ link }}, {{ form }}, {{ id }}, {{ accepted_at }} and the key of any "
            "question, as in {{ name }}, are replaced. Everybody in the chat reads the message."
        ),
    )


class SecretAddressField(WebAddressField, SecretField):
    """An address that lets whoever knows it write."""


class AddressConfig(ChatConfig):
    """For a service whose webhooks are addresses. hosts: theirs; one with a leading dot stands for all below it."""

    hosts: ClassVar[tuple[str, ...]] = ()
    url = SecretAddressField(
        label=gettext_lazy("address of the webhook"),
        help_text=gettext_lazy("As the service shows it. It is not shown again: whoever knows it can write there."),
    )
    field_order: tuple[str, ...] = ("url", "text")

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        host = urlsplit(url).hostname or ""
        if settings.CHAT_HOSTS_CHECKED and self.hosts and not any(_belongs(host, each) for each in self.hosts):
            known = ", ".join(f"*{each}" if each.startswith(".") else each for each in self.hosts)
            raise ValidationError(
                _("This is no webhook of this service: its addresses are at %(hosts)s.") % {"hosts": known}
            )
        return url


class Chat(Sink):
    """`length`: of a message, in units of UTF-16, which is at least what every service counts."""

    length: ClassVar[int]

    @abstractmethod
    def url(self) -> str:
        """Where messages are posted."""

    @abstractmethod
    def payload(self, text: str, link: str) -> Mapping[str, Any]:
        """The body of the call for one message. link: to the submission's page, or empty."""

    def plain(self, text: str) -> str:
        """Words of strangers as the service shows them as they are."""
        return unnamed(text)

    def judge(self, answer: Answer) -> None:
        """What the service's answer means. Raises the DeliveryError family."""
        require_success(answer)

    @classmethod
    def misfits(cls, config: Mapping[str, Any], layout: Layout) -> dict[str, str]:
        return values.unknown(config, ("text",), layout, values.WORDS)

    def deliver(self, batch: Batch) -> None:
        with Line(self.url()) as line:
            for number, (part, submission) in enumerate(_each(batch)):
                if number:  # the first one is paid for
                    for rate in self.policy.rates:
                        self.context.spend(rate.name)
                self._deliver(line, part, submission)

    def check(self) -> str:
        """With a message of its own: no service has another way to try whether it may be written to."""
        with Line(self.url()) as line:
            self._say(line, _("A test by FormHub: this is where messages about submissions will appear."), "")
        return _("The chat took a test message.")

    def preview(self, batch: Batch) -> Preview:
        return Preview("text/plain", "\n\n".join(self.message(part, submission) for part, submission in _each(batch)))

    def message(self, part: Part, submission: Submission) -> str:
        """A message is never empty, whatever was left out."""
        value = values.bounded(values.of(part, submission, LINE_MAX))
        text = str(part.config["text"]).replace("\r\n", "\n")
        said = placeholders.fill(text, lambda name: value(name) if name in OURS else self.plain(_seen(value(name))))
        return shortened(said.strip() or self.plain(part.form_title), self.length, part.link(submission))

    def _deliver(self, line: Line, part: Part, submission: Submission) -> None:
        try:
            self._say(line, self.message(part, submission), part.link(submission))
        except DeliveryError as error:
            error.part = part.binding
            if isinstance(error, PermanentError):
                error.ids = frozenset({submission.id})
            raise

    def _say(self, line: Line, text: str, link: str) -> None:
        self.judge(line.post(orjson.dumps(self.payload(text, link)), HEADERS))


class Webhook(Chat):
    """To an address that the service gave out."""

    def url(self) -> str:
        return str(self.config["url"])

    @classmethod
    def destination(cls, config: Mapping[str, Any]) -> str:
        """Names the host and tells addresses apart, but is none: keys of destinations are no secrets."""
        url = str(config["url"])
        return f"{urlsplit(url).hostname} {hashlib.sha256(url.encode()).hexdigest()[:32]}"


def unnamed(text: str) -> str:
    """The same to the eye, but no service finds a name in it to call."""
    return _NAMING.sub("@\u200b", text)


def _seen(text: str) -> str:
    return text.translate(_CONTROLS)


def shortened(text: str, most: int, link: str) -> str:
    """What was cut off is where the link leads."""
    if _units(text) <= most:
        return text
    end = f"…\n{link}" if link else "…"
    begin = text.encode("utf-16-le")[: 2 * (most - _units(end))].decode("utf-16-le", errors="ignore")
    return _TORN.sub("", begin) + end


def body_of(answer: Answer) -> dict[str, Any]:
    """Of an answer in JSON; nothing of any other."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def seconds_of(value: object) -> float | None:
    """What a service says in its answer's body of how long to wait."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def refused(service: str, code: object, remedy: str) -> ConfigurationError:
    return ConfigurationError(
        _("%(service)s refuses messages: %(code)s.") % {"service": service, "code": code}, remedy=remedy
    )


def _each(batch: Batch) -> Iterator[tuple[Part, Submission]]:
    for part in batch.parts:
        for submission in part.submissions:
            yield part, submission


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _belongs(host: str, to: str) -> bool:
    return host.endswith(to) if to.startswith(".") else host == to
