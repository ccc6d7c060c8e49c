"""Questions as HTML that works without scripts, and is said in full by assistive technology."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.template.loader import render_to_string
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apps.forms import fields, schema
from apps.forms.fields import Element, text
from apps.forms.schema import FieldError

# Pages are headed by a second, what is in them by a third heading; none is smaller than the last.
PAGE_LEVEL, LAST_LEVEL = 2, 6


@dataclass(frozen=True, slots=True)
class Filled:
    """How a definition is shown: in a language, with the answers given so far and what is wrong with them.

    `answers` are clean or as sent, so that a refused answer stays where it was typed. `seed` decides the order of
    choices that are shuffled.
    """

    language: str
    answers: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, FieldError] = field(default_factory=dict)
    seed: str = ""


def render_pages(definition: Mapping[str, Any], filled: Filled) -> SafeString:
    """All pages one below the other. One that is titled as the form itself has no heading of its own."""
    return _join([_page(page, definition["title"], filled) for page in definition["pages"]])


def render(element: Element, filled: Filled, *, level: int = PAGE_LEVEL + 1, inside: str = "") -> SafeString:
    """The markup of one element. `level`: that of its heading; `inside`: the markup of what a container holds."""
    field_type = fields.get(element.type)
    value, error = _single(filled.answers.get(element.key)), filled.errors.get(element.key)
    settings = field_type.complete(element.settings)
    id = _id(element)
    hint = "\n".join(filter(None, (text(element.help, filled.language), field_type.rule(settings))))
    described = [f"{id}-hint"] * bool(hint) + [f"{id}-error"] * bool(error)
    context = {
        "id": id,
        "name": element.key,
        "language": filled.language,
        "label": text(element.label, filled.language),
        "hint": hint,
        "required": element.required,
        "value": "" if value is None else value,
        "error": error,
        "described_by": " ".join(described),
        "settings": settings,
        "level": level,
        "inside": inside,
        **field_type.context(element, filled.answers.get(element.key), filled.language),
    }
    if context.get("shuffle") and filled.seed:
        context["choices"] = _shuffled(context["choices"], f"{filled.seed}:{element.key}")
    return render_to_string(field_type.template, context)


def anchor(element: Element, code: str = "") -> str:
    """The id of the input that somebody is led to who has to change the answer: the first, or that which is wrong."""
    if code == "other_text":
        return f"{_id(element)}-own"
    return f"{_id(element)}-1" if fields.get(element.type).grouped else _id(element)


def _page(page: Mapping[str, Any], form_title: str, filled: Filled) -> SafeString:
    title = text(page.get("title", ""), filled.language)
    label = "" if title == form_title else title
    inside = _members(page, filled, PAGE_LEVEL + bool(label))
    return render(Element("page", page["key"], label, page.get("help", "")), filled, level=PAGE_LEVEL, inside=inside)


def _members(container: Mapping[str, Any], filled: Filled, level: int) -> SafeString:
    return _join([_member(member, filled, level) for member in container.get("elements", [])])


def _member(member: Mapping[str, Any], filled: Filled, level: int) -> SafeString:
    inside = _members(member, filled, min(level + 1, LAST_LEVEL))
    return render(schema.element(member), filled, level=level, inside=inside)


def _join(pieces: list[SafeString]) -> SafeString:
    return format_html_join("\n", "{}", ((piece,) for piece in pieces))


def _id(element: Element) -> str:
    return f"field-{element.key}"


def _single(value: Any) -> Any:
    """What one input shows of an answer that came several times."""
    return value[-1] if isinstance(value, list) and value else value


def _shuffled(choices: list[dict[str, Any]], seed: str) -> list[dict[str, Any]]:
    """In an order of its own for each seed; "none of these" and its like stay last."""
    free = [choice for choice in choices if not choice["exclusive"]]
    random.Random(seed).shuffle(free)  # noqa: S311 - an order on a page, no secret
    return [*free, *(choice for choice in choices if choice["exclusive"])]
