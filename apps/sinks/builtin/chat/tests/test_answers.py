"""What each service says, in its own words, and what becomes of it."""

from typing import Any

import orjson
import pytest

from apps.sinks.builtin.chat.base import RETRY_SECONDS, Chat
from apps.sinks.builtin.chat.discord import Discord
from apps.sinks.builtin.chat.slack import Slack
from apps.sinks.builtin.chat.teams import Teams
from apps.sinks.builtin.chat.telegram import Telegram
from apps.sinks.conformance import ORGANIZATION
from apps.sinks.contract import (
    AmbiguousError,
    BackpressureError,
    ConfigurationError,
    Context,
    PermanentError,
    RelocatedError,
)
from apps.sinks.egress import Answer

SETTINGS = {"url": "https://chat.example/x", "token": "12345:abc", "chat": "-1001", "text": "x"}


def judged(kind: type[Chat], status: int, body: Any, after: float | None = None) -> Exception | None:
    said = body.encode() if isinstance(body, str) else orjson.dumps(body)
    try:
        kind(SETTINGS, Context(ORGANIZATION)).judge(Answer(status, after, said))
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return error
    return None


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        (Slack, 200, "ok"),
        (Discord, 204, ""),
        (Discord, 200, {"id": "1", "content": "x"}),
        (Teams, 202, ""),
        (Teams, 200, "1"),
        (Telegram, 200, {"ok": True, "result": {}}),
    ],
)
def test_a_message_that_was_taken_is_delivered(kind: type[Chat], status: int, body: Any) -> None:
    assert judged(kind, status, body) is None


@pytest.mark.parametrize(
    ("kind", "status", "body", "remedy"),
    [
        (Slack, 404, "no_service", "new webhook"),
        (Slack, 403, "invalid_token", "new webhook"),
        (Slack, 410, "channel_is_archived", "another channel"),
        (Slack, 404, "channel_not_found", "another channel"),
        (Slack, 403, "action_prohibited", "admin"),
        (Slack, 403, "posting_to_general_channel_denied", "admin"),
        (Discord, 404, {"message": "Unknown Webhook", "code": 10015}, "new webhook"),
        (Discord, 401, {"message": "Invalid Webhook Token", "code": 50027}, "new webhook"),
        (Discord, 400, {"message": "Webhooks posted to forum channels must ...", "code": 220001}, "thread_id"),
        (Discord, 400, {"message": "Thread is archived", "code": 50083}, "open thread"),
        (Teams, 404, {"error": {"code": "WorkflowNotFound"}}, "workflow"),
        (Teams, 400, {"error": {"code": "WorkflowTriggerIsNotEnabled"}}, "Switch the workflow on"),
        (Teams, 401, {"error": {"code": "DirectApiAuthorizationRequired"}}, "anyone"),
        (Teams, 400, {"error": {"code": "TriggerInputSchemaMismatch"}}, "trigger"),
        (Teams, 400, {"error": {"code": "WorkflowDisabled"}}, "workflow"),
        (Telegram, 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}, "BotFather"),
        (Telegram, 404, {"ok": False, "error_code": 404, "description": "Not Found"}, "BotFather"),
        (Telegram, 400, {"ok": False, "description": "Bad Request: chat not found"}, "Add the bot"),
        (Telegram, 403, {"ok": False, "description": "Forbidden: bot was kicked from the group chat"}, "Add the bot"),
        (Telegram, 400, {"ok": False, "description": "Bad Request: message thread not found"}, "Add the bot"),
        (Telegram, 400, {"ok": False, "description": "Bad Request: PEER_ID_INVALID"}, "Add the bot"),
    ],
)
def test_what_a_person_has_to_repair_says_how(kind: type[Chat], status: int, body: Any, remedy: str) -> None:
    error = judged(kind, status, body)

    assert isinstance(error, ConfigurationError)
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("kind", "body", "after", "waits"),
    [
        (Slack, "rate_limited", 30.0, 30.0),
        (Discord, {"message": "You are being rate limited.", "retry_after": 1.337, "global": False}, 2.0, 1.337),
        (Discord, {"retry_after": "soon"}, 5.0, 5.0),
        (Telegram, {"ok": False, "error_code": 429, "parameters": {"retry_after": 35}}, None, 35.0),
    ],
)
def test_a_service_that_is_full_says_for_how_long(
    kind: type[Chat], body: Any, after: float | None, waits: float
) -> None:
    error = judged(kind, 429, body, after)

    assert isinstance(error, BackpressureError)
    assert error.after == waits


def test_a_chat_of_telegram_that_is_full_does_not_stop_the_bot_in_others() -> None:
    error = judged(Telegram, 429, {"ok": False, "error_code": 429, "parameters": {"retry_after": 35}})

    assert isinstance(error, BackpressureError)
    assert error.rates == {rate.name for rate in Telegram.policy.rates} - {"telegram_bot"}


def test_a_message_is_tried_for_a_day_and_not_too_often() -> None:
    """Where answers are lost each try may be one more message."""
    assert tuple(sorted(RETRY_SECONDS)) == RETRY_SECONDS
    assert sum(RETRY_SECONDS) > 24 * 3600
    assert len(RETRY_SECONDS) < 10


def test_a_message_that_is_refused_concerns_nothing_else() -> None:
    for kind, body in (
        (Slack, "invalid_payload"),
        (Discord, {"message": "Invalid Form Body", "code": 50035}),
        (Telegram, {"ok": False, "description": "Bad Request: message is too long"}),
    ):
        assert isinstance(judged(kind, 400, body), PermanentError)


def test_a_webhook_of_teams_that_says_200_means_what_teams_said_to_it() -> None:
    said = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId"

    assert isinstance(judged(Teams, 200, said), BackpressureError)
    assert isinstance(judged(Teams, 200, said.replace("429", "413")), PermanentError)
    assert isinstance(judged(Teams, 200, said.replace("429", "404")), ConfigurationError)
    for unclear in ("500", "200", ""):
        assert isinstance(judged(Teams, 200, said.replace("429", unclear)), AmbiguousError)


def test_a_group_with_a_new_number_is_followed() -> None:
    said = {"ok": False, "error_code": 400, "parameters": {"migrate_to_chat_id": -100987}}

    error = judged(Telegram, 400, said)

    assert isinstance(error, RelocatedError)
    assert error.changes == {"chat": "-100987"}


def test_odd_answers_do_no_harm() -> None:
    for kind in (Discord, Teams, Telegram):
        for body in ("", "null", "[]", '"x"', '{"parameters": 3, "error": 4, "code": []}', "\x00"):
            assert judged(kind, 200, body) is None
            assert isinstance(judged(kind, 400, body), PermanentError)
