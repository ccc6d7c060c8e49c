"""The kind: each submission is posted at least once, always under the same id, so that a receiver can tell a repeat."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4, uuid5

import orjson
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.webhook import payload
from apps.sinks.builtin.webhook.config import WebhookConfig, headers_of
from apps.sinks.builtin.webhook.landed import Landed
from apps.sinks.builtin.webhook.signing import signed
from apps.sinks.contract import (
    BackpressureError,
    Batch,
    DeliveryError,
    Part,
    PermanentError,
    Policy,
    Preview,
    Sink,
    Submission,
)
from apps.sinks.egress import Answer, Line, require_success

MINUTE, HOUR = 60.0, 3600.0
BUDGET_SECONDS = 15.0  # no request of a batch begins later; connecting and one request take 25 s at most
OWN_HEADERS = {"Content-Type": "application/json", "User-Agent": "FormHub-Webhook/1"}
MASK = "••••"


class Webhook(Sink):
    name, label = "webhook", "Webhook"
    description = gettext_lazy("Posts each submission to an address of yours, signed so that it can be trusted.")  # type: ignore[assignment]
    Config = WebhookConfig
    policy = Policy(
        max_items=100,
        max_bytes=250_000,
        max_seconds=1,
        ordered=False,
        repeatable=False,
        retry_seconds=(5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR),
    )

    @classmethod
    def destination(cls, config: Mapping[str, Any]) -> str:
        return str(config["url"])

    def deliver(self, batch: Batch) -> None:
        """What of the batch has landed is remembered, so that its repeat sends only the rest."""
        landed = Landed(self.context.state)
        end = self.context.clock.monotonic() + BUDGET_SECONDS
        with Line(self.config["url"]) as line:
            for part in batch.parts:
                for submissions in _requests(part, landed):
                    if self.context.clock.monotonic() > end:
                        raise BackpressureError(_("The service answers slowly; the rest follows at once."), after=0)
                    self._send(line, batch, part, submissions)
                    landed.add(part, submissions)
        landed.forget(batch)

    def check(self) -> str:
        """With an event of its own, `ping`."""
        now = self.context.clock.now()
        with Line(self.config["url"]) as line:
            answer = self._post(line, f"ping_{uuid4().hex}", payload.ping(now), self.config)
        require_success(answer)
        return _("The receiver took a test event: it answered %(status)d.") % {"status": answer.status}

    def preview(self, batch: Batch) -> Preview:
        """The request of the first submission. Whatever may be a secret is masked, further headers whole."""
        part = batch.parts[0]
        several, first = part.config.get("several"), part.submissions[0]
        body = payload.of_several(part, [first]) if several else payload.of_one(part, first)
        headers = dict.fromkeys(headers_of(part.config.get("headers", "")), MASK) | OWN_HEADERS
        headers |= {"webhook-id": str(first.id), "webhook-signature": f"v1,{MASK}"}
        text = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
        return Preview("application/json", text, headers)

    def _send(self, line: Line, batch: Batch, part: Part, submissions: tuple[Submission, ...]) -> None:
        one = not part.config.get("several")
        id = submissions[0].id if one else uuid5(batch.id, str(part.binding))
        body = payload.of_one(part, submissions[0]) if one else payload.of_several(part, submissions)
        try:
            require_success(self._post(line, str(id), body, part.config))
        except DeliveryError as error:
            error.part = part.binding
            # Of a list nobody knows which one is refused; without ids it is divided until that one stands alone.
            if isinstance(error, PermanentError) and one:
                error.ids = frozenset({submissions[0].id})
            raise

    def _post(self, line: Line, id: str, body: bytes, config: Mapping[str, Any]) -> Answer:
        seconds = int(self.context.clock.now().timestamp())
        secrets = [config[name] for name in ("secret", "second_secret") if config.get(name)]
        return line.post(body, headers_of(config.get("headers", "")) | OWN_HEADERS | signed(id, seconds, body, secrets))


def _requests(part: Part, landed: Landed) -> Iterator[tuple[Submission, ...]]:
    left = landed.missing(part)
    if part.config.get("several"):
        yield from [left] if left else []
    else:
        yield from ((submission,) for submission in left)
