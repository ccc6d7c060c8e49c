"""Microsoft Teams, by a workflow of Power Automate that posts a card when a webhook request is received
(learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors; adaptivecards.io/explorer/RichTextBlock.html).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.chat.base import AddressConfig, Webhook, body_of, policy, refused
from apps.sinks.contract import AmbiguousError, Rate
from apps.sinks.egress import Answer, require_success

LINES_MAX = 100  # of a card, which may have 28 KB
CARD = "application/vnd.microsoft.card.adaptive"
_INNER = re.compile(rb"HTTP error (\d{3})")
_ANEW = gettext_lazy("Switch the workflow on, or make a new one and enter its address. Resume.")
_ANYONE = gettext_lazy("Let the workflow's trigger take requests from anyone, enter its address anew, and resume.")
_TRIGGER = gettext_lazy("Begin the workflow with the trigger “When a Teams webhook request is received”, and resume.")
REMEDIES: Mapping[str, Any] = {
    "WorkflowNotFound": _ANEW,
    "WorkflowTriggerNotFound": _ANEW,
    "WorkflowDisabled": _ANEW,
    "WorkflowTriggerIsNotEnabled": _ANEW,
    "AuthorizationFailed": _ANYONE,
    "DirectApiAuthorizationRequired": _ANYONE,
    "DirectApiInvalidAuthorizationScheme": _ANYONE,
    "TriggerInputSchemaMismatch": _TRIGGER,
}


class TeamsConfig(AddressConfig):
    hosts = (
        ".logic.azure.com", ".api.powerplatform.com", ".logic.azure.us", ".api.powerplatform.us",
        ".webhook.office.com",
    )  # fmt: skip


class Teams(Webhook):
    name, label = "teams", "Microsoft Teams"
    description = gettext_lazy("Each submission is a card in a channel or chat of Teams.")  # type: ignore[assignment]
    Config = TeamsConfig
    length = 4_000
    policy = policy(Rate("teams_webhook", 4, 1.0))

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
        if answer.status >= 400 and isinstance(code, str) and code in REMEDIES:
            raise refused("Teams", code, str(REMEDIES[code]))
        require_success(answer)
        # The older kind of webhook says 200 and writes into the text what Teams said to it.
        if inner := _INNER.search(answer.body):
            require_success(replace(answer, status=int(inner[1])))
        if inner or b"delivery failed" in answer.body:
            raise AmbiguousError(_("Teams did not say whether it has the message."))
