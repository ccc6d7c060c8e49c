"""Telegram, by a bot that is a member of the chat (core.telegram.org/bots/api#sendmessage)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import RegexValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.chat.base import Chat, ChatConfig, body_of, policy, refused, seconds_of
from apps.sinks.contract import BackpressureError, Rate, RelocatedError, SecretField
from apps.sinks.egress import Answer, require_success

# Parts of what a 400 says where the settings are wrong, and not the message.
WRONG = (
    "chat not found", "not enough rights", "have no rights", "chat_write_forbidden", "topic_closed", "topic_deleted",
    "message thread not found", "need administrator rights", "peer_id_invalid", "group chat was deactivated",
)  # fmt: skip


class TelegramConfig(ChatConfig):
    token = SecretField(
        label=gettext_lazy("token of the bot"),
        max_length=100,
        validators=[RegexValidator(r"^\d{5,20}:[A-Za-z0-9_-]{20,}$", gettext_lazy("A token reads 123456:ABC..."))],
        help_text=gettext_lazy("BotFather tells it when the bot is made. It is not shown again."),
    )
    chat = forms.CharField(
        label=gettext_lazy("chat"),
        max_length=64,
        validators=[
            RegexValidator(
                r"^(-?\d{1,20}|@\w{4,60})$", gettext_lazy("Give the chat's number, such as -1001234567890, or @name.")
            )
        ],
        help_text=gettext_lazy("The number of a chat that the bot is a member of, or the @name of a public channel."),
    )
    topic = forms.IntegerField(
        label=gettext_lazy("topic"),
        required=False,
        min_value=1,
        help_text=gettext_lazy("The number of a topic, in a group that has topics."),
    )
    field_order = ("token", "chat", "topic", "text")


class Telegram(Chat):
    name, label = "telegram", "Telegram"
    description = gettext_lazy("Each submission is a message of your bot in a chat of Telegram.")  # type: ignore[assignment]
    Config = TelegramConfig
    length = 4_096
    policy = policy(Rate("telegram_chat", 1, 1.0), Rate("telegram_group", 20, 60.0), Rate("telegram_bot", 30, 1.0))

    @classmethod
    def destination(cls, config: Mapping[str, Any]) -> str:
        """The number before the colon is the bot's name, not its secret."""
        return f"{_bot(config)} {config['chat']}"

    @classmethod
    def rate_keys(cls, config: Mapping[str, Any]) -> Mapping[str, str]:
        chat = cls.destination(config)
        return {"telegram_chat": chat, "telegram_group": chat, "telegram_bot": _bot(config)}

    def url(self) -> str:
        return f"{settings.TELEGRAM_API_URL}/bot{self.config['token']}/sendMessage"

    def payload(self, text: str, link: str) -> Mapping[str, Any]:
        # Without a parse_mode a text is shown as it is.
        body = {"chat_id": self.config["chat"], "text": text, "link_preview_options": {"is_disabled": True}}
        return body | ({"message_thread_id": self.config["topic"]} if self.config.get("topic") else {})

    def judge(self, answer: Answer) -> None:
        body = body_of(answer)
        said, told = str(body.get("description", "")).lower(), body.get("parameters")
        parameters: dict[str, Any] = told if isinstance(told, dict) else {}
        if chat := parameters.get("migrate_to_chat_id"):
            # A group that became a supergroup has another number. Which action that is, `deliver` says.
            raise RelocatedError(_("The group has a new number."), changes={"chat": str(chat)}, part=0)
        if answer.status in (401, 404):
            raise refused("Telegram", answer.status, _("Enter the bot's token as BotFather tells it, and resume."))
        if answer.status == 403 or (answer.status == 400 and any(each in said for each in WRONG)):
            remedy = _("Add the bot to the chat and let it write there, or correct the chat's number, and resume.")
            raise refused("Telegram", answer.status, remedy)
        after = seconds_of(parameters.get("retry_after")) if answer.status == 429 else None
        try:
            require_success(answer if after is None else replace(answer, retry_after=after))
        except BackpressureError as error:
            # One chat is full: the bot goes on in its others.
            error.rates = frozenset({"telegram_chat", "telegram_group"})
            raise


def _bot(config: Mapping[str, Any]) -> str:
    return str(config["token"]).partition(":")[0]
