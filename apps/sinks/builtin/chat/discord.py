"""Discord, by a webhook of a channel (docs.discord.com/developers/resources/webhook)."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.chat.base import AddressConfig, Webhook, body_of, refused, seconds_of, unnamed
from apps.sinks.contract import Policy, Rate
from apps.sinks.egress import Answer, require_success

GONE = (10003, 10015, 50027)  # unknown channel, unknown webhook, its token is not valid
_MARKS = re.compile(r"([\\*_~`|>#<\[\]()-])")


class DiscordConfig(AddressConfig):
    hosts = ("discord.com", "discordapp.com")


class Discord(Webhook):
    name, label = "discord", "Discord"
    description = gettext_lazy("Each submission is a message in a channel of Discord.")  # type: ignore[assignment]
    Config = DiscordConfig
    length = 2_000
    policy = Policy(
        max_items=1,
        max_seconds=1,
        ordered=False,
        rates=(Rate("discord_webhook", 5, 2.0), Rate("discord_channel", 30, 60.0)),
    )

    def plain(self, text: str) -> str:
        return unnamed(_MARKS.sub(r"\\\1", text))

    def payload(self, text: str, link: str) -> Mapping[str, Any]:
        # Nobody is called, whatever stands in the text; and previews of links are left out.
        return {"content": text, "allowed_mentions": {"parse": []}, "flags": 4}

    def judge(self, answer: Answer) -> None:
        body = body_of(answer)
        if answer.status >= 400 and body.get("code") in GONE:
            remedy = _("Make a new webhook in the channel's settings, enter its address here, and resume.")
            raise refused("Discord", body["code"], remedy)
        after = seconds_of(body.get("retry_after")) if answer.status == 429 else None
        require_success(answer if after is None else replace(answer, retry_after=after))
