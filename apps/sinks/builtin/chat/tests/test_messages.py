"""What a message says: the owner's words with answers in them, which never become more than words."""

from typing import Any

import pytest

from apps.sinks.builtin.chat.base import LINE_MAX, Chat, shortened
from apps.sinks.builtin.chat.discord import Discord
from apps.sinks.builtin.chat.generic import Generic
from apps.sinks.builtin.chat.slack import Slack
from apps.sinks.builtin.chat.teams import LINES_MAX, Teams
from apps.sinks.builtin.chat.telegram import Telegram
from apps.sinks.builtin.chat.tests.services import DiscordService, SlackService, TeamsService, TelegramService
from apps.sinks.builtin.wording import values
from apps.sinks.conformance import FORM, LAYOUT, ORGANIZATION, make_submission
from apps.sinks.contract import Batch, Context, Part, Submission
from formhub.core.ids import uuid7

KINDS: list[type[Chat]] = [Slack, Discord, Teams, Telegram, Generic]
SETTINGS = {"url": "https://chat.example/x", "member": "text", "token": "12345:abc", "chat": "-1001"}


def written(kind: type[Chat], text: str, pages: str = "https://forms.example/s/", **answers: Any) -> str:
    submission = make_submission(7, **answers)
    part = Part(1, FORM, "Guests", {**SETTINGS, "text": text}, LAYOUT, (submission,), pages)
    return kind(part.config, Context(ORGANIZATION)).message(part, submission)


def link(submission: Submission) -> str:
    return f"https://forms.example/s/{submission.id}/"


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_that_is_offered_tells_form_answers_and_link(kind: type[Chat]) -> None:
    said = written(kind, str(kind.Config.base_fields["text"].initial), name="Ada", count=3)

    begin, name, count, end = said.split("\n")
    assert (begin, name, count) == ("New answers to Guests", "Name: Ada", "Count: 3")
    assert end.startswith("https://forms.example/s/")


@pytest.mark.parametrize(
    ("kind", "answer", "said"),
    [
        (Slack, "<!channel> & <https://evil.example|bank>", "&lt;!channel&gt; &amp; &lt;https://evil.example|bank&gt;"),
        (Discord, "@everyone **b** [bank](x)", "@\u200beveryone \\*\\*b\\*\\* \\[bank\\]\\(x\\)"),
        (Discord, "`code` ~~no~~ # title", "\\`code\\` \\~\\~no\\~\\~ \\# title"),
        (Teams, "**b** <at>all</at>", "**b** <at>all</at>"),
        (Telegram, "@ada <b>", "@\u200bada <b>"),
        (Generic, "@all <users/all>", "@\u200ball <\u200busers/all>"),
        (Generic, "[bank](x) [bank][y]", "[bank]\u200b(x) [bank]\u200b[y]"),
        (Slack, "a\0b\x1bc\td", "abc\td"),
    ],
)
def test_an_answer_calls_nobody_and_hides_nothing(kind: type[Chat], answer: str, said: str) -> None:
    assert written(kind, "{{ name }}", name=answer) == said


@pytest.mark.parametrize("kind", KINDS)
def test_an_address_stays_one_that_can_be_copied(kind: type[Chat]) -> None:
    assert written(kind, "{{ name }}", name="ada@example.org") == "ada@example.org"


def test_the_owners_own_marks_are_the_services() -> None:
    assert written(Slack, "*{{ form }}* <!here>", name="Ada") == "*Guests* <!here>"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("letter", ["x", "&", "<", "*", "👩🏽‍🔬"])
def test_a_long_message_is_cut_and_leads_to_the_rest(kind: type[Chat], letter: str) -> None:
    submission = make_submission(7, name=letter * 5_000)
    part = Part(
        1, FORM, "Guests", {**SETTINGS, "text": "{{ name }}"}, LAYOUT, (submission,), "https://forms.example/s/"
    )

    said = kind(part.config, Context(ORGANIZATION)).message(part, submission)

    assert said.endswith(f"…\n{link(submission)}")
    assert len(said.encode("utf-16-le")) // 2 <= kind.length


def test_one_long_answer_leaves_room_for_the_others() -> None:
    said = written(Discord, "{{ answers }}", name="x" * 5_000, count=3)

    assert said == f"Name: {'x' * LINE_MAX}…\nCount: 3"


def test_what_stands_for_one_letter_is_never_cut_in_two() -> None:
    for most in range(20, 30):
        assert shortened("&amp;" * 10, most, "").removesuffix("…").replace("&amp;", "") == ""
        assert shortened("\\*" * 20, most, "").removesuffix("…").replace("\\*", "") == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_never_empty(kind: type[Chat]) -> None:
    assert written(kind, "{{ name }} ", name="") == "Guests"


@pytest.mark.parametrize(
    ("kind", "service"),
    [(Slack, SlackService), (Discord, DiscordService), (Teams, TeamsService), (Telegram, TelegramService)],
)
def test_the_longest_message_is_taken(kind: type[Chat], service: type[Any]) -> None:
    text = written(kind, "{{ name }}\n{{ answers }}", name="ä👩🏽‍🔬\n" * 2_000)
    sink = kind({**SETTINGS, "text": "x"}, Context(ORGANIZATION))
    with service() as stand_in:
        assert stand_in.verdict(dict(sink.payload(text, "https://forms.example/s/1/"))) == stand_in.good


def test_a_card_has_no_more_lines_than_it_may_have_and_a_way_to_the_page() -> None:
    body = Teams({**SETTINGS, "text": "x"}, Context(ORGANIZATION)).payload("a\n\n" * 100, "https://forms.example/s/1/")

    [attachment] = body["attachments"]
    assert len(attachment["content"]["body"]) == LINES_MAX
    assert attachment["content"]["actions"][0]["url"] == "https://forms.example/s/1/"
    assert attachment["content"]["body"][1]["inlines"][0]["text"] == " "


def test_nobody_is_called_by_discord_whatever_the_text() -> None:
    body = Discord({**SETTINGS, "text": "x"}, Context(ORGANIZATION)).payload("@everyone", "")

    assert body["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize("kind", KINDS)
def test_a_preview_is_the_message_and_no_secret(kind: type[Chat]) -> None:
    part = values.sample({**SETTINGS, "text": "{{ form }}: {{ name }}"}, "Guests", LAYOUT, {"name": "Ada"})
    batch = Batch(uuid7(), 1, "somewhere", (part,))

    found = kind(part.config, Context(ORGANIZATION)).preview(batch)

    assert (found.content_type, found.text) == ("text/plain", "Guests: Ada")
    assert found.headers == {}
