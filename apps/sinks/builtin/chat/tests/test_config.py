"""What is refused when the settings of a chat are saved, and what is never shown again."""

from typing import Any

import pytest
from pytest_django import Settings

from apps.sinks import config
from apps.sinks.builtin.chat.base import Chat
from apps.sinks.builtin.chat.discord import Discord
from apps.sinks.builtin.chat.generic import Generic
from apps.sinks.builtin.chat.slack import Slack
from apps.sinks.builtin.chat.teams import Teams
from apps.sinks.builtin.chat.telegram import Telegram
from apps.sinks.conformance import LAYOUT

TOKEN = "12345678:" + "AbC-_" * 7
GOOD: list[tuple[type[Chat], dict[str, Any]]] = [
    (Slack, {"url": "https://hooks.slack.com/services/T0/B0/abc"}),
    (Discord, {"url": "https://discord.com/api/webhooks/1/abc"}),
    (Teams, {"url": "https://prod-1.westeurope.logic.azure.com:443/workflows/x?sig=abc"}),
    (Generic, {"url": "https://chat.example.org/hooks/abc", "member": "text"}),
    (Telegram, {"token": TOKEN, "chat": "-1001234567890"}),
]


@pytest.fixture(autouse=True)
def _as_in_production(settings: Settings) -> None:
    settings.CHAT_HOSTS_CHECKED = True
    settings.EGRESS_HTTP = False
    settings.EGRESS_PORTS = [443]


def errors_of(kind: type[Chat], **changes: Any) -> dict[str, list[str]]:
    given = {"text": "{{ form }}", **dict(GOOD)[kind], **changes}
    return {name: [str(each) for each in found] for name, found in kind.Config(given).errors.items()}


@pytest.mark.parametrize(("kind", "given"), GOOD)
def test_good_settings_are_taken_and_the_secret_ones_kept_apart(kind: type[Chat], given: dict[str, Any]) -> None:
    form = config.validated(kind, {"text": "{{ form }}", **given})
    kept = config.settings_of(kind, form)

    assert form.errors == {}
    secret = "token" if kind is Telegram else "url"
    assert kept.secrets == {secret: given[secret]}
    assert "abc" not in str(kept.config) + str(form)
    # The destination's key is stored and shown: it tells two of them apart and gives nothing away.
    assert given[secret] not in config.destination_key(kind, kept)
    assert config.destination_key(kind, kept) == config.destination_key(kind, kept)


@pytest.mark.parametrize("kind", [Slack, Discord, Teams])
def test_a_webhook_of_another_service_is_refused(kind: type[Chat]) -> None:
    for url in (
        "https://example.org/services/T0",
        "https://hooks.slack.com.evil.example/x",
        "https://evil-discord.com/",
    ):
        [said] = errors_of(kind, url=url)["url"]
        assert "its addresses are at" in said


def test_an_installation_may_let_webhooks_be_anywhere(settings: Settings) -> None:
    settings.CHAT_HOSTS_CHECKED = False

    assert errors_of(Slack, url="https://example.org/services/T0") == {}


def test_addresses_that_are_never_called_are_refused() -> None:
    assert "https://" in errors_of(Generic, url="http://chat.example.org/")["url"][0]
    assert "url" in errors_of(Generic, url="https://10.0.0.1/")
    assert "url" in errors_of(Slack, url="")


@pytest.mark.parametrize(
    ("name", "value"), [("token", "abc"), ("token", "1:2"), ("chat", "family"), ("chat", "--1"), ("topic", "0")]
)
def test_a_bot_is_named_as_telegram_names_it(name: str, value: str) -> None:
    assert list(errors_of(Telegram, **{name: value})) == [name]


def test_the_name_of_the_text_is_a_name() -> None:
    assert "member" in errors_of(Generic, member='text": 1, "x')


def test_a_placeholder_of_no_question_is_named() -> None:
    for kind, _ in GOOD:
        found = kind.misfits({"text": "{{ form }} {{ nmae }}"}, LAYOUT)
        assert list(found) == ["text"]
        assert "nmae" in found["text"]
        assert kind.misfits({"text": "{{ name }} {{ answers }} {{ link }} {{ id }}"}, LAYOUT) == {}
