import re
from html.parser import HTMLParser
from typing import Any

import pytest

from apps.forms import fields, markup, schema
from apps.forms.fields import Element
from apps.forms.markup import Filled
from apps.forms.schema import FieldError
from apps.forms.tests.documents import EVERY_TYPE, a_document, a_question


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def ids(self) -> list[str]:
        return [str(attrs["id"]) for _tag, attrs in self.tags if "id" in attrs]


def wrong(key: str, code: str = "invalid", message: str = "Try again") -> Filled:
    return Filled("en", errors={key: FieldError(key, code, message)})


def an_element(body: dict[str, Any]) -> Element:
    return schema.element({**body, "help": "A hint"})


@pytest.mark.parametrize("body", EVERY_TYPE, ids=lambda body: body["key"])
def test_every_input_is_labelled_and_tied_to_hint_and_error(body: dict[str, Any]) -> None:
    page = Page(markup.render(an_element(body), wrong(body["key"])))

    ids = page.ids()
    labelled = {attrs.get("for") for tag, attrs in page.tags if tag == "label"}
    inputs = [attrs for tag, attrs in page.tags if tag in {"input", "textarea", "select"}]
    described = {part for _tag, attrs in page.tags for part in (attrs.get("aria-describedby") or "").split()}
    assert len(ids) == len(set(ids))
    assert inputs
    assert all(attrs["id"] in labelled and attrs["name"] == body["key"] for attrs in inputs)
    assert described == {f"field-{body['key']}-hint", f"field-{body['key']}-error"}


@pytest.mark.parametrize("body", EVERY_TYPE, ids=lambda body: body["key"])
def test_an_answer_is_shown_again_where_it_was_typed(body: dict[str, Any]) -> None:
    element = an_element(body)
    field_type = fields.get(element.type)
    sample = field_type.sample(field_type.complete(element.settings), "IN")

    html = markup.render(element, Filled("en", {element.key: sample}))

    shown = [attrs for tag, attrs in Page(html).tags if {"checked", "selected"} & set(attrs) or attrs.get("value")]
    assert shown or "Sample" in html


def test_what_people_typed_is_escaped() -> None:
    element = Element("short_text", "name", label="<b>Name</b>")

    filled = Filled("en", {"name": '"><script>alert(1)</script>'}, {"name": FieldError("name", "invalid", "<i>")})

    html = markup.render(element, filled)

    assert not re.search("<(script|b|i)[ >]", html)


@pytest.mark.parametrize("name", ["page", "group", "statement"])
def test_structure_has_markup_too(name: str) -> None:
    settings = {"text": "Some words"} if name == "statement" else {}

    assert "Head" in markup.render(Element(name, "k", label="Head", settings=settings), Filled("en"))


@pytest.mark.parametrize("body", EVERY_TYPE, ids=lambda body: body["key"])
def test_only_a_refused_answer_is_marked_as_wrong(body: dict[str, Any]) -> None:
    fine = Page(markup.render(an_element(body), Filled("en")))
    refused = Page(markup.render(an_element(body), wrong(body["key"])))

    assert not any("aria-invalid" in attrs for _tag, attrs in fine.tags)
    assert any("aria-invalid" in attrs for _tag, attrs in refused.tags)


@pytest.mark.parametrize("body", EVERY_TYPE, ids=lambda body: body["key"])
def test_a_person_is_led_to_the_first_input_of_a_question(body: dict[str, Any]) -> None:
    element = an_element(body)
    inputs = [
        attrs["id"]
        for tag, attrs in Page(markup.render(element, Filled("en"))).tags
        if tag in {"input", "select", "textarea"}
    ]

    assert markup.anchor(element) == inputs[0]
    assert markup.anchor(element, "other_text") in [*inputs, f"field-{element.key}-own"]


@pytest.mark.parametrize("body", EVERY_TYPE, ids=lambda body: body["key"])
def test_a_browser_may_bring_back_what_was_typed(body: dict[str, Any]) -> None:
    """Where it may not remember an input, going back to the page finds it empty."""
    tags = Page(markup.render(an_element(body), Filled("en"))).tags
    assert not any(attrs.get("autocomplete") == "off" for _tag, attrs in tags)


def test_where_own_words_are_wrong_the_person_is_led_to_them() -> None:
    element = an_element(a_question("single_choice", "colour", settings={"choices": ["red"], "other": True}))
    page = Page(markup.render(element, wrong("colour", "other_text")))

    own = next(attrs for _tag, attrs in page.tags if attrs.get("id") == markup.anchor(element, "other_text"))
    assert (own["aria-invalid"], own["aria-describedby"]) == ("true", "field-colour-error")


def test_what_is_required_is_said_in_words() -> None:
    assert "(required)" in markup.render(Element("short_text", "name", "Name", required=True), Filled("en"))
    assert "(required)" not in markup.render(Element("short_text", "name", "Name"), Filled("en"))


@pytest.mark.parametrize("answer", ["red", ["_other", ""], ["mauve"]], ids=["listed", "other", "own words"])
def test_a_list_that_opens_is_open_where_something_is_chosen(answer: Any) -> None:
    element = schema.element(a_question("multi_dropdown", settings={"choices": ["red"], "other": True}))

    assert "<details open" in markup.render(element, Filled("en", {"answer": answer})).replace(' class="dropdown"', "")
    assert "<details open" not in markup.render(element, Filled("en")).replace(' class="dropdown"', "")
    assert "<details open" in markup.render(element, wrong("answer")).replace(' class="dropdown"', "")


@pytest.mark.parametrize("type", ["linear_scale", "nps", "star_rating"])
def test_nothing_on_a_scale_is_preset(type: str) -> None:
    page = Page(markup.render(Element(type, "k", "Scale"), Filled("en")))

    assert not [attrs for _tag, attrs in page.tags if "checked" in attrs]


def test_the_ends_of_a_scale_are_said_in_its_labels() -> None:
    settings = {"min_label": "Cold", "max_label": {"en": "Hot", "de": "Heiß"}}
    html = markup.render(Element("linear_scale", "warm", "How warm?", settings=settings), Filled("de"))

    assert re.findall(r"<label[^>]*>(\d+) <span class=\"scale-end\">(\w+)</span></label>", html) == [
        ("1", "Cold"),
        ("5", "Heiß"),
    ]


def test_one_of_several_radio_buttons_is_required_as_a_group() -> None:
    element = Element("single_choice", "colour", "Colour", required=True, settings={"choices": ["red", "blue"]})
    page = Page(markup.render(element, Filled("en")))

    group = next(attrs for tag, attrs in page.tags if tag == "fieldset")
    assert (group["role"], group["aria-required"]) == ("radiogroup", "true")
    assert not any("required" in attrs for tag, attrs in page.tags if tag == "input")


def test_what_the_person_may_be_asked_of_is_named_to_the_browser() -> None:
    tokens = {
        tag["name"]: tag.get("autocomplete")
        for element in (
            Element("short_text", "who", "Name", settings={"autocomplete": "name"}),
            Element("email", "mail", "E-mail"),
            Element("phone", "phone", "Phone"),
        )
        for kind, tag in Page(markup.render(element, Filled("en"))).tags
        if kind == "input"
    }
    assert tokens == {"who": "name", "mail": "email", "phone": "tel"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "Choose all that apply."),
        ({"min": 2}, "Choose at least 2."),
        ({"max": 2}, "Choose at most 2."),
        ({"min": 1, "max": 2}, "Choose 1 to 2."),
        ({"min": 2, "max": 2}, "Choose 2."),
    ],
)
def test_how_many_to_choose_stands_in_the_hint(settings: dict[str, int], words: str) -> None:
    element = Element("multiple_choice", "c", "Colours", settings={"choices": ["red", "blue"], **settings})

    assert f'id="field-c-hint">{words}</div>' in markup.render(element, Filled("en"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"min": "2026-01-31"}, "Not before Jan. 31, 2026."),
        ({"max": "today"}, "Not after today."),
        ({"min": "2026-01-31", "max": "today"}, "From Jan. 31, 2026 to today."),
    ],
)
def test_the_limits_of_a_date_stand_in_the_hint(settings: dict[str, str], words: str) -> None:
    html = markup.render(Element("date", "day", "Day", help="Of arrival", settings=settings), Filled("en"))

    assert f">Of arrival<br>{words}</div>" in html


class TestShuffled:
    ELEMENT = Element(
        "multiple_choice",
        "c",
        "Colours",
        settings={"choices": [*map(str, range(20)), {"value": "none", "exclusive": True}], "shuffle": True},
    )

    def order(self, seed: str) -> list[str | None]:
        tags = Page(markup.render(self.ELEMENT, Filled("en", seed=seed))).tags
        return [attrs["value"] for tag, attrs in tags if tag == "input"]

    def test_each_person_has_an_order_of_their_own_that_stays(self) -> None:
        assert self.order("one") == self.order("one")
        assert self.order("one") != self.order("two")

    def test_none_of_these_stays_last(self) -> None:
        assert self.order("one")[-1] == "none"


class TestPages:
    def test_headings_go_down_one_step_at_a_time(self) -> None:
        document = a_document()
        document["pages"] = [
            {
                "key": "p1",
                "title": {"en": "About you", "de": "Über dich"},
                "elements": [
                    {"type": "statement", "key": "s", "label": "Welcome"},
                    {
                        "type": "group",
                        "key": "g",
                        "label": "Home",
                        "elements": [{"type": "statement", "key": "t", "label": "Street"}],
                    },
                ],
            }
        ]
        html = markup.render_pages(document, Filled("de"))

        assert [tag for tag, _attrs in Page(html).tags if tag in {"h2", "h3", "h4"}] == ["h2", "h3", "h4"]
        assert "Über dich" in html

    def test_a_page_titled_as_the_form_is_not_headed_twice(self) -> None:
        document = a_document({"type": "statement", "key": "s", "label": "Welcome"}, title="Survey")
        document["pages"][0]["title"] = "Survey"
        html = markup.render_pages(document, Filled("en"))

        assert "Survey" not in html
        assert [tag for tag, _attrs in Page(html).tags if tag.startswith("h")] == ["h2"]

    def test_questions_of_a_group_stand_in_its_fieldset(self) -> None:
        group = {"type": "group", "key": "g", "label": "Home", "elements": [a_question(key="street")]}
        html = markup.render_pages(a_document(group), Filled("en", {"street": "High St"}))

        inside = html[html.index("<fieldset") : html.index("</fieldset>")]
        assert "<legend>Home</legend>" in inside
        assert 'value="High St"' in inside
