"""Any chat that takes {"text": ...} at an address: Mattermost, Rocket.Chat, Google Chat, Zulip and others."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.chat.base import AddressConfig, Webhook, policy, unnamed
from apps.sinks.contract import Rate


class GenericConfig(AddressConfig):
    member = forms.CharField(
        label=gettext_lazy("name of the text"),
        max_length=50,
        initial="text",
        validators=[RegexValidator(r"^[A-Za-z_][A-Za-z0-9_]*$", gettext_lazy("A name of letters, digits and _."))],
        help_text=gettext_lazy("Under which name the service looks for the message in what is posted: most say text."),
    )
    field_order = ("url", "member", "text")


class Generic(Webhook):
    name, label = "chat", "Other chat"
    description = gettext_lazy("Each submission is a message in Mattermost, Rocket.Chat, Google Chat or the like.")  # type: ignore[assignment]
    Config = GenericConfig
    length = 4_000
    policy = policy(Rate("chat_webhook", 1, 1.0))

    def plain(self, text: str) -> str:
        """Some call people by <...>, others by @; most read [words](address) as a link that shows the words alone."""
        return unnamed(text).replace("<", "<\u200b").replace("](", "]\u200b(").replace("][", "]\u200b[")

    def payload(self, text: str, link: str) -> Mapping[str, Any]:
        return {str(self.config["member"]): text}
