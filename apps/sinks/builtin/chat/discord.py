"""Discord, by a webhook of a channel (docs.discord.com/developers/resources/webhook)."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext_lazy

from apps.sinks.builtin.chat.base import AddressConfig, Webhook, body_of, policy, refused, seconds_of, unnamed
from apps.sinks.contract import Rate
from apps.sinks.egress import Answer, require_success

_ANEW = gettext_lazy("Make a new webhook in the channel's settings, enter its address here, and resume.")
_THREAD = gettext_lazy("Name an open thread at the end of the address, as in ?thread_id=123, and resume.")
REMEDIES: Mapping[int, Any] = {
    10003: _ANEW,  # unknown channel
    10015: _ANEW,  # unknown webhook
    50027: _ANEW,  # its token is not valid
    50083: _THREAD,  # the thread is archived
    160005: _THREAD,  # the thread is locked
    220001: _THREAD,  # a forum takes no message outside a thread
}
_MARKS = re.compile(r"([\\*_~`|>#<\[\]()-])")


class DiscordConfig(AddressConfig):
    hosts = ("discord.com", "ptb.discord.com", "canary.discord.com", "discordapp.com")


class Discord(Webhook):
    name, label = "discord", "Discord"
    description = gettext_lazy("Each submission is a message in a channel of Discord.")  # type: ignore[assignment]
    Config = DiscordConfig
    length = 2_000
    policy = policy(Rate("discord_webhook", 5, 2.0), Rate("discord_channel", 30, 60.0))

    def url(self) -> str:
        """Discord answers when the message stands there. Otherwise it says yes and may drop it."""
        url = super().url()
        return f"{url}{'&' if '?' in url else '?'}wait=true"

    def plain(self, text: str) -> str:
        return unnamed(_MARKS.sub(r"\\\1", text))

    def payload(self, text: str, link: str) -> Mapping[str, Any]:
        # Nobody is called, whatever stands in the text; and previews of links are left out.
        return {"content": text, "allowed_mentions": {"parse": []}, "flags": 4}

    def judge(self, answer: Answer) -> None:
        body = body_of(answer)
        code = body.get("code")
        if answer.status >= 400 and isinstance(code, int) and code in REMEDIES:
            raise refused("Discord", code, str(REMEDIES[code]))
        after = seconds_of(body.get("retry_after")) if answer.status == 429 else None
        require_success(answer if after is None else replace(answer, retry_after=after))
