"""The settings of a webhook, as a person or a program writes them."""

from typing import Any

import pytest
from pytest_django import Settings

from apps.sinks import config
from apps.sinks.api.settings_schema import schema_of
from apps.sinks.builtin.webhook.config import headers_of
from apps.sinks.builtin.webhook.signing import key_of, make_secret
from apps.sinks.builtin.webhook.sink import Webhook

FIRST, SECOND = make_secret(), make_secret()
URL = "https://example.com/hook"


def sent(current: config.Settings | None = None, **changes: Any) -> Any:
    first = {} if current else {"secret": FIRST}
    return config.validated(Webhook, {"url": URL, "version": "1"} | first | changes, current)


def saved(current: config.Settings | None = None, **changes: Any) -> config.Settings:
    form = sent(current, **changes)
    assert form.errors == {}
    return config.settings_of(Webhook, form)


def test_an_address_and_a_secret_are_enough() -> None:
    found = saved()

    assert found.secrets == {"secret": FIRST}
    assert (found.config["url"], found.config["thin"], found.config["several"]) == (URL, False, False)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/", "begins with https"),
        ("https://127.0.0.1/", "not a public address"),
        ("https://2130706433/", "plain spelling"),
        ("https://example.com:22/", "Port 22 is not called"),
        ("https://ada:secret@example.com/", "Leave out user name"),
    ],
)
def test_an_address_that_is_never_called_is_refused_with_the_reason(url: str, said: str) -> None:
    assert said in sent(url=url).errors["url"][0]


def test_a_new_action_is_offered_a_secret_made_for_it() -> None:
    pages = [str(config.blank(Webhook)["secret"]) for _ in range(2)]

    made = [page.partition('value="')[2].partition('"')[0] for page in pages]
    assert [len(key_of(secret)) for secret in made] == [32, 32]
    assert made[0] != made[1]


def test_a_secret_is_shown_once() -> None:
    current = saved(second_secret=SECOND, headers="Authorization: Bearer abc")

    shown = config.blank(Webhook, current).as_p() + sent(current, url="").as_p() + sent(url="", secret=SECOND).as_p()

    assert not any(secret in shown for secret in (FIRST, SECOND, "abc"))
    assert "whsec_" not in str(config.blank(Webhook, current)["secret"])


@pytest.mark.parametrize(
    "secret", ["", "hush", "whsec_", "whsec_c2hvcnQ=", "whsec_!" + "A" * 43, "A" * 43 + "=", "whsec_" + "A" * 88]
)
def test_a_secret_of_another_shape_is_refused(secret: str) -> None:
    assert "secret" in sent(secret=secret).errors


def test_a_secret_is_changed_in_two_steps() -> None:
    first = saved()

    both = saved(first, second_secret=SECOND)
    after = saved(both, second_only="on")

    assert both.secrets == {"secret": FIRST, "second_secret": SECOND}
    assert after.secrets == {"secret": SECOND}
    assert after.config["second_only"] is False


def test_a_second_secret_that_is_not_there_cannot_take_over() -> None:
    assert "second_only" in sent(saved(), second_only="on").errors


def test_what_is_kept_though_it_is_sent_empty_is_removed_by_a_dash() -> None:
    current = saved(second_secret=SECOND, headers="X-Team: blue")

    assert saved(current).secrets == current.secrets
    assert saved(current, second_secret="-", headers="-").secrets == {"secret": FIRST}


def test_headers_are_read_one_a_line() -> None:
    found = saved(headers=" Authorization:  Bearer a:b \r\n\r\nX-Team: blue")

    assert headers_of(found.secrets["headers"]) == {"Authorization": "Bearer a:b", "X-Team": "blue"}


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ("Bearer abc", "Line 1: write Name: value"),
        ("X-Team: blue\nX Team: red", "Line 2: write Name: value"),
        ("X-Team:", "Line 1"),
        ("X-Team: bl\u00fce", "Line 1"),
        ("X-Team: a\x00b", "headers"),
        ("Host: other.example", "not yours to set"),
        ("content-length: 0", "not yours to set"),
        ("Webhook-Id: 1", "not yours to set"),
        ("X-Forwarded-For: 127.0.0.1", "not yours to set"),
        ("X-Team: a\nx-team: b", "each header once"),
        ("\n".join(f"X-{number}: a" for number in range(11)), "at most 10"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused_and_not_repeated(headers: str, said: str) -> None:
    errors = sent(headers=headers).errors

    assert list(errors) == ["headers"]
    assert said in errors["headers"][0] or said == "headers"
    assert "abc" not in errors["headers"][0]


def test_a_program_learns_what_to_send(settings: Settings) -> None:
    schema = schema_of(Webhook)

    assert schema["required"] == ["url", "secret"]
    assert [name for name, entry in schema["properties"].items() if entry.get("writeOnly")] == [
        "secret", "second_secret", "headers",
    ]  # fmt: skip
    assert schema["properties"]["version"]["enum"] == ["1"]
    assert "whsec_" not in str(schema["properties"]["secret"].get("default", ""))
