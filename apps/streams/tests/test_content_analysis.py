"""What is flagged and what is not; the answers themselves never leave in a result."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from apps.streams.builtin.content_analysis import config as config_module
from apps.streams.builtin.content_analysis.config import ContentAnalysisConfig
from apps.streams.builtin.content_analysis.processor import ALL_MAX, TEXT_MAX, ContentAnalysis
from apps.streams.contract import Submission
from formhub.core.clock import SystemClock


def looked_at(answers: dict[str, Any], **settings: Any) -> dict[str, Any]:
    config = {"languages": ["english"], "allow": [], "deny": [], "fields_only": []} | settings
    submission = Submission(UUID(int=1), UUID(int=2), 1, 0, datetime(2026, 11, 23, tzinfo=UTC), answers)
    return dict(ContentAnalysis(config).process(submission))


def flagged(text: str, **settings: Any) -> list[str]:
    """The parts of the text that are."""
    spans = looked_at({"text": text}, **settings)["spans"].get("text", [])
    return [text[span["start"] : span["end"]] for span in spans]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("What a shit form", ["shit"], id="a word of the list"),
        pytest.param("f.u.c.k this", ["f.u.c.k"], id="letters with dots between"),
        pytest.param("😀 Shit", ["Shit"], id="after a sign beyond the first plane"),
        pytest.param("I live in Scunthorpe and assess classes", [], id="words within words"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_slang_is_found_where_it_stands(text: str, found: list[str]) -> None:
    assert flagged(text) == found


def test_a_word_of_one_language_is_none_of_another() -> None:
    assert flagged("der Dick ist dick", languages=["german"]) == []
    assert flagged("Scheiße", languages=["german"]) == ["Scheiße"]
    assert flagged("Scheiße", languages=["english"]) == []


def test_a_false_hit_is_allowed_by_the_forms_own_list() -> None:
    text = "The cock crows"

    assert flagged(text) == ["cock"]
    assert flagged(text, allow=["Cock"]) == []


def test_words_of_the_forms_own_are_flagged_under_a_list_of_their_own() -> None:
    result = looked_at({"name": "Wurzelgnom, du"}, deny=["wurzelgnom"])

    assert result["spans"] == {"name": [{"start": 0, "end": 10, "list": "denied"}]}
    assert result["flagged"] is True
    assert result["score"] == 0.5


def test_a_word_that_is_allowed_and_denied_is_allowed() -> None:
    assert flagged("gnom", allow=["gnom"], deny=["gnom"]) == []


def test_answers_within_answers_are_named_by_their_path() -> None:
    result = looked_at({"children": [{"name": "Ada"}, {"name": "shit"}], "age": 4, "none": None})

    assert list(result["spans"]) == ["children.1.name"]


def test_only_the_questions_that_are_named_are_looked_at() -> None:
    assert looked_at({"a": "shit", "b": "shit"}, fields_only=["b"])["spans"].keys() == {"b"}


def test_a_result_holds_no_text_of_an_answer() -> None:
    result = looked_at({"text": "Zanzibar shit Zanzibar"})

    assert result["flagged"]
    assert b"shit" not in orjson.dumps(result)
    assert b"Zanzibar" not in orjson.dumps(result)


def test_of_long_answers_the_beginning_is_looked_at_and_that_is_said() -> None:
    long = looked_at({"text": "fine " * (TEXT_MAX // 5) + "shit"})
    many = looked_at({f"text{number}": "fine " * (TEXT_MAX // 5) for number in range(ALL_MAX // TEXT_MAX + 1)})

    assert (long["truncated"], long["flagged"]) == (True, False)
    assert many["truncated"] is True
    assert looked_at({"text": "short"})["truncated"] is False


class Hasty(SystemClock):
    """A clock on which every look takes a minute."""

    at = 0.0

    def monotonic(self) -> float:
        self.at += 60.0
        return self.at


def test_when_its_time_is_up_it_ends_with_what_it_has() -> None:
    config = {"languages": ["english"], "allow": [], "deny": [], "fields_only": []}
    submission = Submission(UUID(int=1), UUID(int=2), 1, 0, datetime(2026, 11, 23, tzinfo=UTC), {"text": "shit"})

    result = ContentAnalysis(config, Hasty()).process(submission)

    assert (result["flagged"], result["truncated"]) == (False, True)


def test_a_result_reads_as_words() -> None:
    described = dict(ContentAnalysis.describe(looked_at({"text": "oh shit"})))

    assert described["Flagged"] == "Yes"
    assert described["Characters in text"] == "4-7 (english)"


def test_lists_are_kept_as_lists_and_bounded() -> None:
    form = ContentAnalysisConfig({"languages": ["english"], "allow": " a \n\nb\na", "deny": "x" * 101})

    assert not form.is_valid()
    assert form.cleaned_data["allow"] == ["a", "b"]
    assert form.errors.keys() == {"deny"}


def test_sentiment_needs_its_package_and_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_module, "find_spec", lambda name: None)
    form = ContentAnalysisConfig({"languages": ["english"], "sentiment": "on"})

    assert "vaderSentiment is not installed" in form.errors["sentiment"][0]

    monkeypatch.setattr(config_module, "find_spec", lambda name: object())
    assert ContentAnalysisConfig({"languages": ["german"], "sentiment": "on"}).errors.keys() == {"sentiment"}
    assert ContentAnalysisConfig({"languages": ["english"], "sentiment": "on"}).is_valid()
