"""Slack, by an incoming webhook of an app (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks)."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.chat.base import AddressConfig, Webhook, policy, refused
from apps.sinks.contract import Rate
from apps.sinks.egress import Answer, require_success

# What the answer says in plain text, whatever its status.
REMOVED = {"no_service", "no_active_hooks", "no_service_id", "invalid_token", "no_team", "team_disabled"}
GONE = {"channel_is_archived", "channel_not_found", "is_archived", "user_not_found"}
FORBIDDEN = {"action_prohibited", "posting_to_general_channel_denied", "restricted_action"}


class SlackConfig(AddressConfig):
    hosts = ("hooks.slack.com", "hooks.slack-gov.com")


class Slack(Webhook):
    name, label = "slack", "Slack"
    description = gettext_lazy("Each submission is a message in a channel of Slack.")  # type: ignore[assignment]
    Config = SlackConfig
    length = 4_000  # longer ones are cut by Slack, or shown folded
    policy = policy(Rate("slack_webhook", 1, 1.0))

    def plain(self, text: str) -> str:
        """Slack calls people and shows links by <...>; without the bracket a name is only text."""
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def payload(self, text: str, link: str) -> Mapping[str, Any]:
        return {"text": text, "unfurl_links": False, "unfurl_media": False}

    def judge(self, answer: Answer) -> None:
        code = answer.body[:100].decode(errors="replace").strip()
        if code in REMOVED:
            raise refused("Slack", code, _("Make a new webhook in Slack, enter its address here, and resume."))
        if code in GONE:
            raise refused("Slack", code, _("Make a webhook for another channel, enter its address here, and resume."))
        if code in FORBIDDEN:
            raise refused("Slack", code, _("Ask an admin of the workspace to let the app write there, and resume."))
        require_success(answer)
