"""What a field type is. One module per type; the table is in `__init__`.

Types are stateless: each method takes the settings of the field at hand, completed with their defaults. Defaults are
part of the definition format and never change, because published definitions leave them out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import jsonschema_rs
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from apps.forms.fields import words
from formhub.core.layout import Column, Kind

Text = str | Mapping[str, str]
Settings = Mapping[str, Any]
Cleaner = Callable[[Any], Any]

TEXT_LIMIT = 10_000
TEXT: dict[str, Any] = {
    "type": ["string", "object"],
    "maxLength": TEXT_LIMIT,
    "additionalProperties": {"type": "string", "maxLength": TEXT_LIMIT},
}


def text(value: Text, language: str) -> str:
    """The text in a language; a text that lacks it shows its first one."""
    if isinstance(value, str):
        return value
    return value.get(language) or next(iter(value.values()), "")


class Refused(Exception):  # noqa: N818 - the answer's state, not a failure of ours
    """An answer that cannot be taken: a stable code, words that say how to fix it, and the values in them."""

    def __init__(self, code: str, message: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.params = params


@dataclass(frozen=True, slots=True)
class Element:
    """A field of a definition. `settings` are as written there, without defaults."""

    type: str
    key: str
    label: Text = ""
    help: Text = ""
    required: bool = False
    settings: Settings = field(default_factory=dict)


class FieldType:
    """The interface of a type. A subclass names itself and overrides what differs.

    `settings` maps each setting to its JSON Schema with "title", "description" and "default" (absent: not set).
    `accessibility` says how the input's markup serves people who use assistive technology. `grouped`: the answer is
    given with several inputs in a fieldset. `prefillable`: an address may bring an answer along.
    """

    name: ClassVar[str]
    label: ClassVar[str | Promise]
    answerable: ClassVar[bool] = True
    container: ClassVar[bool] = False
    kind: ClassVar[Kind] = Kind.TEXT
    grouped: ClassVar[bool] = False
    prefillable: ClassVar[bool] = True
    settings: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    accessibility: ClassVar[str] = "A label tied to its input; hint and error are named by aria-describedby."

    def complete(self, settings: Settings) -> dict[str, Any]:
        """The settings with the defaults of those left out."""
        defaults = {name: rule["default"] for name, rule in self.settings.items() if "default" in rule}
        return defaults | dict(settings)

    @cached_property
    def settings_schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": dict(self.settings), "additionalProperties": False}

    @cached_property
    def _settings_validator(self) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(self.settings_schema)

    def problems(self, settings: Settings) -> Iterator[tuple[str, str]]:
        """What is wrong with the settings as written: (path of the setting, words)."""
        shape = list(words.problems(self._settings_validator, dict(settings)))
        yield from shape
        if not shape:
            yield from self.check(self.complete(settings))

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        """What is wrong between settings that are well-formed one by one."""
        yield from ()

    def texts(self, settings: Settings) -> Iterator[tuple[str, Text]]:
        """The texts people read within the settings: (path, text)."""
        yield from ()

    def schema(self, settings: Settings) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the clean value."""
        return {"type": "string"}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        """A function from a raw answer to the clean value, or to None where nothing was answered.

        It refuses with `Refused` and leaves to the JSON Schema what that can say. A clean value passes unchanged.
        """
        raise TypeError(f"{self.name} takes no answer")

    def column(self, element: Element, language: str) -> Column:
        labels = self.cell_labels(self.complete(element.settings), language)
        return Column(element.key, text(element.label, language) or element.key, self.kind, labels)

    def cell_labels(self, settings: Settings, language: str) -> dict[str, str]:
        return {}

    def display(self, settings: Settings, value: Any, language: str) -> str:
        """The clean value as people read it; empty for none."""
        return "" if value is None else str(value)

    def csv(self, value: Any) -> Any:
        """The clean value as one scalar, for formats that know no lists. JSON takes the clean value itself."""
        return value

    def sample(self, settings: Settings, region: str) -> Any:
        """A clean value that the settings allow, for examples and tests."""
        raise TypeError(f"{self.name} takes no answer")

    def rule(self, settings: Settings) -> str:
        """What an answer has to fit, in words for the hint; empty where that need not be said."""
        return ""

    @property
    def template(self) -> str:
        return f"forms/fields/{self.name}.html"

    def context(self, element: Element, value: Any, language: str) -> dict[str, Any]:
        """What the template needs beyond the common names (see `markup.render`)."""
        return {}


def plain_text(value: Any) -> str | None:
    """A string as sent, None if it is blank. Refuses what JSON allows in one but no store can hold."""
    if type(value) is not str:
        raise Refused("invalid_type", _("Send this answer as text."), expected="string")
    if not value or value.isspace():
        return None
    if "\0" in value or not (value.isascii() or _encodable(value)):
        raise Refused("invalid_text", _("Remove the characters that are not text."))
    return value


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
