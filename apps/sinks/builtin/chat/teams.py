"""Microsoft Teams, by a workflow of Power Automate that posts a card when a webhook request is received
(learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors; adaptivecards.io/explorer/RichTextBlock.html).
"""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.chat.base import AddressConfig, Webhook, body_of, refused
from apps.sinks.contract import BackpressureError, Policy, Rate, RetryableError
from apps.sinks.egress import FULL_SECONDS, Answer, require_success

LINES_MAX = 100  # of a card, which may have 28 KB
CARD = "application/vnd.microsoft.card.adaptive"
GONE = ("WorkflowNotFound", "WorkflowTriggerNotFound", "WorkflowDisabled", "DirectApiAuthorizationRequired")


class TeamsConfig(AddressConfig):
    hosts = (".logic.azure.com", ".api.powerplatform.com", ".webhook.office.com")


class Teams(Webhook):
    name, label = "teams", "Microsoft Teams"
    description = gettext_lazy("Each submission is a card in a channel or chat of Teams.")  # type: ignore[assignment]
    Config = TeamsConfig
    length = 4_000
    policy = Policy(max_items=1, max_seconds=1, ordered=False, rates=(Rate("teams_webhook", 4, 1.0),))

    def plain(self, text: str) -> str:
        """Runs of text are shown as they are: no marks, no names."""
        return text

    def payload(self, text: str, link: str) -> Mapping[str, Any]:
        lines = text.split("\n")
        if len(lines) > LINES_MAX:
            lines = [*lines[: LINES_MAX - 1], "…"]
        # A run that is empty is refused.
        body = [{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line or " "}]} for line in lines]
        actions = [{"type": "Action.OpenUrl", "title": _("Open"), "url": link}] if link else []
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": body,
            "actions": actions,
            "msteams": {"width": "Full"},
        }
        return {"type": "message", "attachments": [{"contentType": CARD, "contentUrl": None, "content": card}]}

    def judge(self, answer: Answer) -> None:
        error = body_of(answer).get("error")
        code = error.get("code") if isinstance(error, dict) else None
        if answer.status >= 400 and code in GONE:
            raise refused("Teams", code, _("Switch the workflow on, or make a new one and enter its address. Resume."))
        require_success(answer)
        # The older kind of webhook says 200 and tells of its failures in the text.
        if b"HTTP error 429" in answer.body:
            raise BackpressureError(_("Teams takes no further messages at present."), after=FULL_SECONDS)
        if b"delivery failed" in answer.body:
            raise RetryableError(_("Teams did not deliver the message."))
