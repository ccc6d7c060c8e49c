import re
from html.parser import HTMLParser
from typing import Any

import pytest

from apps.forms import fields, markup, schema
from apps.forms.fields import Element
from apps.forms.tests.documents import EVERY_TYPE


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def ids(self) -> list[str]:
        return [str(attrs["id"]) for _tag, attrs in self.tags if "id" in attrs]


def an_element(body: dict[str, Any]) -> Element:
    return schema.element({**body, "help": "A hint"})


@pytest.mark.parametrize("body", EVERY_TYPE, ids=lambda body: body["key"])
def test_every_input_is_labelled_and_tied_to_hint_and_error(body: dict[str, Any]) -> None:
    page = Page(markup.render(an_element(body), "en", error="Try again"))

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

    page = Page(markup.render(element, "en", sample))

    shown = [attrs for tag, attrs in page.tags if "checked" in attrs or "selected" in attrs or attrs.get("value")]
    assert shown or "Sample" in markup.render(element, "en", sample)


def test_what_people_typed_is_escaped() -> None:
    element = Element("short_text", "name", label="<b>Name</b>")

    html = markup.render(element, "en", '"><script>alert(1)</script>', error="<i>")

    assert not re.search("<(script|b|i)[ >]", html)


@pytest.mark.parametrize("name", ["page", "group", "statement"])
def test_structure_has_markup_too(name: str) -> None:
    settings = {"text": "Some words"} if name == "statement" else {}

    assert "Head" in markup.render(Element(name, "k", label="Head", settings=settings), "en")
