"""Each chat keeps the promises of every kind, against its service as it answers."""

from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from pytest_django import Settings

from apps.sinks import egress
from apps.sinks.builtin.chat.base import Chat
from apps.sinks.builtin.chat.discord import Discord
from apps.sinks.builtin.chat.generic import Generic
from apps.sinks.builtin.chat.slack import Slack
from apps.sinks.builtin.chat.teams import Teams
from apps.sinks.builtin.chat.telegram import Telegram
from apps.sinks.builtin.chat.tests.services import (
    ChatService,
    DiscordService,
    SlackService,
    TeamsService,
    TelegramService,
)
from apps.sinks.contract import Context
from apps.sinks.http_conformance import HttpSinkConformance, Service

TEXT = "{{ id }}: {{ name }}"


class ChatConformance(HttpSinkConformance):
    kind: ClassVar[type[Chat]]
    stand_in: ClassVar[type[ChatService]]
    settings: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(egress, "READ_SECONDS", 0.3)

    def make_service(self) -> Service:
        return self.stand_in()

    def make_sink(self, context: Context) -> Chat:
        return self.kind({"url": self.service.url, "text": TEXT, **self.settings}, context)


class TestSlack(ChatConformance):
    kind, stand_in = Slack, SlackService


class TestDiscord(ChatConformance):
    kind, stand_in = Discord, DiscordService

    def test_it_waits_until_the_message_stands_there(self) -> None:
        """Discord answers at once otherwise, and tells of no message that it then drops."""
        plain, thread = (
            self.kind({"url": self.service.url + query, "text": TEXT}, self.context()) for query in ("", "?thread_id=1")
        )

        assert plain.url() == f"{self.service.url}?wait=true"
        assert thread.url() == f"{self.service.url}?thread_id=1&wait=true"


class TestTeams(ChatConformance):
    kind, stand_in = Teams, TeamsService


class TestGeneric(ChatConformance):
    kind, stand_in = Generic, ChatService
    settings: ClassVar[dict[str, Any]] = {"member": "text"}


class TestTelegram(ChatConformance):
    kind, stand_in = Telegram, TelegramService
    settings: ClassVar[dict[str, Any]] = {"token": "12345:" + "x" * 30, "chat": "-1001"}

    @pytest.fixture(autouse=True)
    def _here(self, settings: Settings) -> None:
        parts = urlsplit(self.service.url)
        settings.TELEGRAM_API_URL = f"{parts.scheme}://{parts.netloc}"
