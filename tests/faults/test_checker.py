"""The checker finds what it is there for: histories made up, each with one promise broken."""

from dataclasses import replace

import pytest

from tests.faults.harness.checker import Place, Row, check
from tests.faults.harness.journal import Call, History, history

FORM = "form"


def told(*names: str) -> History:
    """Accepted, each under its key."""
    return {f"key-{name}": Call(FORM, f"digest-{name}", {name}) for name in names}


def row(name: str) -> Row:
    return Row(name, f"key-{name}", f"digest-{name}")


def place(*names: str) -> Place:
    return Place([row(name) for name in names], list(names), list(names))


def test_what_failed_is_owed_to_no_sheet_and_stands_in_none() -> None:
    found = replace(place("a", "b", "c"), failed={"b"})

    assert check(told("a", "b", "c"), {FORM: found}).invented == ["sheet b"]
    assert check(told("a", "b", "c"), {FORM: replace(found, sheet=["a", "c"])}).good


def test_late_ones_keep_an_order_of_their_own() -> None:
    found = replace(place("a", "b", "c", "d"), late={"a", "b"})

    assert check(told("a", "b", "c", "d"), {FORM: replace(found, sheet=["c", "a", "d", "b"])}).good
    assert check(told("a", "b", "c", "d"), {FORM: replace(found, sheet=["c", "b", "d", "a"])}).disordered == ["sheet a"]


def test_a_clean_history_is_good() -> None:
    assert check(told("a", "b", "c"), {FORM: place("a", "b", "c")}).good


@pytest.mark.parametrize(
    ("found", "where", "what"),
    [
        pytest.param(place("a", "c"), "lost", ["archive b", "sheet b"], id="lost"),
        pytest.param(replace(place("a", "b", "c"), sheet=["a", "c"]), "lost", ["sheet b"], id="lost on the way"),
        pytest.param(replace(place("a", "b", "c"), archive=[*map(row, "abbc")]), "doubled", ["archive b"], id="twice"),
        pytest.param(
            replace(place("a", "b", "c"), sheet=["a", "b", "c", "a"]), "doubled", ["sheet a"], id="twice in the Sheet"
        ),
        pytest.param(
            replace(place("a", "b", "c"), sheet=["b", "a", "c"]), "disordered", ["sheet a"], id="Sheet disordered"
        ),
        pytest.param(
            replace(place("a", "b", "c"), log=["a", "c", "b"]), "disordered", ["archive c"], id="archive disordered"
        ),
        pytest.param(
            replace(place("a", "b", "c"), sheet=["a", "b", "c", "z"]), "invented", ["sheet z"], id="invented in Sheet"
        ),
        pytest.param(
            replace(place("a", "b", "c"), archive=[row("a"), Row("b", "key-b", "other"), row("c")]),
            "invented",
            ["archive b"],
            id="other answers",
        ),
        pytest.param(place("a", "b", "c", "z"), "invented", ["archive z"], id="never sent"),
    ],
)
def test_a_broken_promise_is_found(found: Place, where: str, what: list[str]) -> None:
    verdict = check(told("a", "b", "c"), {FORM: found})

    assert sorted(getattr(verdict, where)) == what
    assert [name for name, broken in vars(verdict).items() if broken and name != where] in ([], ["disordered"])


def test_two_ids_under_one_key_are_a_double() -> None:
    sent = {"key-a": Call(FORM, "digest-a", {"a"})}
    found = Place([row("a"), Row("b", "key-a", "digest-a")], ["a", "b"], ["a", "b"])

    verdict = check(sent, {FORM: found})

    assert verdict.doubled == ["archive key-a"]
    assert verdict.invented == ["archive b"], "the client was told another id"


def test_what_was_refused_must_be_nowhere() -> None:
    sent = told("a") | {"key-b": Call(FORM, "digest-b", refused=True)}

    assert check(sent, {FORM: place("a")}).good
    assert check(sent, {FORM: place("a", "b")}).leaked == ["archive b"]


@pytest.mark.parametrize("arrived", [[], ["b"]])
def test_what_nobody_knows_may_be_there_once(arrived: list[str]) -> None:
    sent = told("a") | {"key-b": Call(FORM, "digest-b")}

    assert check(sent, {FORM: place("a", *arrived)}).good
    twice = Place([row("a"), row("b"), Row("c", "key-b", "digest-b")], ["a", "b", "c"], ["a", "b", "c"])
    assert check(sent, {FORM: twice}).doubled == ["archive key-b"]


def test_what_is_archived_is_owed_to_the_sheet_also_when_the_client_never_heard() -> None:
    sent = {"key-a": Call(FORM, "digest-a")}

    assert check(sent, {FORM: Place([row("a")], [], ["a"])}).lost == ["sheet a"]


def test_a_key_that_heard_two_ids_contradicts_itself() -> None:
    sent = {"key-a": Call(FORM, "digest-a", {"a", "b"})}

    assert check(sent, {FORM: place("a")}).contradicted == ["key-a"]


def test_a_journal_read_back_says_what_was_told_last() -> None:
    found = history(
        [
            {"event": "sent", "key": "k", "form": FORM, "digest": "d"},
            {"event": "unknown", "key": "k", "why": "Timeout"},
            {"event": "sent", "key": "k", "form": FORM, "digest": "d"},
            {"event": "ok", "key": "k", "id": "a"},
            {"event": "sent", "key": "r", "form": FORM, "digest": "e"},
            {"event": "refused", "key": "r", "status": 422},
        ]
    )

    assert found == {"k": Call(FORM, "d", {"a"}), "r": Call(FORM, "e", set(), refused=True)}
