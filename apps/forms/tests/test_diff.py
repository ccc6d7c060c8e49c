"""Two definitions compared, in words."""

from typing import Any

import pytest

from apps.forms import diff
from apps.forms.tests.documents import a_document, a_question

BEFORE = a_document(
    a_question(key="name", label="Name"),
    a_question("integer", "age", label="Age", settings={"min": 0}),
    a_question(key="city", label="City"),
)


def changed(**members: Any) -> dict[str, Any]:
    """BEFORE with its first question changed."""
    first, *rest = BEFORE["pages"][0]["elements"]
    return a_document({**first, **members}, *rest)


def inside(*keys: str) -> list[dict[str, Any]]:
    by_key = {element["key"]: element for element in BEFORE["pages"][0]["elements"]}
    return [by_key[key] for key in keys]


CASES = [
    pytest.param(BEFORE, [], id="nothing"),
    pytest.param({**BEFORE, "title": "Poll"}, ["The title is now “Poll”."], id="title"),
    pytest.param({**BEFORE, "languages": ["en", "de"]}, ["The languages are now en, de."], id="languages"),
    pytest.param(
        {**BEFORE, "endings": [{"key": "thanks", "title": "Bye"}]},
        ["What people read after sending has changed."],
        id="ending",
    ),
    pytest.param(changed(label="Full name"), ["“Name” now reads “Full name”."], id="label"),
    pytest.param(changed(help="As in your passport."), ["The hint of “Name” has changed."], id="hint"),
    pytest.param(changed(required=True), ["“Name” must be answered now."], id="required"),
    pytest.param(changed(required=False), [], id="required as by default"),
    pytest.param(changed(type="long_text"), ["“Name” is now of the type Long text."], id="type"),
    pytest.param(changed(settings={"max_length": 9}), ["“Name”: max_length is now 9."], id="setting"),
    pytest.param(
        a_document(*inside("name", "age", "city"), a_question(key="email", label="E-mail")),
        ["Added “E-mail” (Short text)."],
        id="added",
    ),
    pytest.param(a_document(*inside("name", "city")), ["Removed “Age” (Whole number)."], id="removed"),
    pytest.param(a_document(*inside("city", "name", "age")), ["Moved “City” to another place."], id="moved"),
    pytest.param(
        a_document(*inside("name", "age"), {"type": "group", "key": "g", "label": "You", "elements": inside("city")}),
        ["Added “You” (Group).", "Moved “City” to another place."],
        id="into a group",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("after", "words"), CASES)
def test_each_change_is_a_sentence(after: dict[str, Any], words: list[str]) -> None:
    assert [change.words for change in diff.changes(BEFORE, after)] == words


def test_a_change_holds_what_was_and_what_is() -> None:
    name, age, city = inside("name", "age", "city")

    [change] = diff.changes(BEFORE, a_document(name, {**age, "settings": {"min": 18}}, city))

    assert (change.what, change.key, change.member) == ("changed", "age", "settings.min")
    assert (change.before, change.after) == (0, 18)


def test_the_other_way_round_it_says_the_opposite() -> None:
    after = a_document(*inside("name", "city"))

    assert [change.what for change in diff.changes(BEFORE, after)] == ["removed"]
    assert [change.what for change in diff.changes(after, BEFORE)] == ["added"]
