"""Who reads whom, and what of it is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from apps.streams import topics
from apps.streams.contract import Processor, Submission
from apps.streams.registry import chain_errors, registry, usable


def reading(name: str, consumes: str) -> type[Processor]:
    def process(self: Processor, submission: Submission) -> Mapping[str, Any]:
        return {}

    return type(name, (Processor,), {"name": name, "label": name, "consumes": consumes, "process": process})


def test_the_built_in_one_is_there_and_reads_submissions() -> None:
    assert [kind.name for kind in usable()] == ["content_analysis"]
    assert registry.errors() == []
    assert chain_errors(usable()) == []


@pytest.mark.parametrize(
    ("chain", "blamed"),
    [
        pytest.param([("a", "submissions"), ("b", "stream.a"), ("c", "stream.b")], [], id="a chain"),
        pytest.param([("a", "stream.a")], ["a"], id="itself"),
        pytest.param([("a", "stream.b"), ("b", "stream.a")], ["a", "b"], id="each other"),
        pytest.param([("a", "stream.nobody")], ["a"], id="a stream that nobody writes"),
        pytest.param([("a", "stream.b"), ("b", "stream.a"), ("c", "stream.a")], ["a", "b", "c"], id="behind a circle"),
    ],
)
def test_a_chain_must_begin_with_submissions(chain: list[tuple[str, str]], blamed: list[str]) -> None:
    errors = chain_errors([reading(*each) for each in chain])

    assert [error.obj for error in errors] == blamed
    assert all(error.id == "streams.E002" and error.hint for error in errors)


def test_a_topic_is_as_that_of_submissions_unless_the_processor_says_otherwise() -> None:
    plain, own = reading("plain", "submissions"), reading("own", "stream.plain")
    own.partitions, own.retention_hours = 3, 24

    assert topics.of(plain).name == "stream.plain.v1"
    assert topics.of(plain).wanted == topics.submissions().wanted
    assert (topics.of(own).wanted.partitions, topics.of(own).wanted.retention_hours) == (3, 24)
    assert (topics.source(plain), topics.source(own)) == ("submissions.v1", "stream.plain.v1")
