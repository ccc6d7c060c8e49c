"""Which fields of a form an action sends, and under which names: pure rules over the form's columns and answers.

The engine applies them before a kind sees a submission. Conditions are evaluated before that, on all answers.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _

from formhub.core.layout import Column, Layout

FIELDS_MAX = 1000
NAME_MAX = 63
LABEL_MAX = 200
NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{NAME_MAX - 1}}}")


@dataclass(frozen=True, slots=True)
class Field:
    """What happens to one field. Empty: it keeps the name or label that the form gives it."""

    send: bool = True
    name: str = ""
    label: str = ""

    def as_json(self, key: str) -> dict[str, Any]:
        words = {name: value for name, value in (("name", self.name), ("label", self.label)) if value}
        return {"key": key, "send": self.send, **words}


@dataclass(frozen=True, slots=True)
class Problem:
    """`index`: of the field in the order in which they were given."""

    index: int
    setting: str
    code: str
    message: str


@dataclass(frozen=True)
class Selection:
    """`fields` by the form's keys. `others`: fields that are not among them, as those that the form gets later, are
    sent too. The order stays the form's.
    """

    fields: Mapping[str, Field] = field(default_factory=dict)
    others: bool = True

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "Selection":
        """Of what `as_json` made; None: everything as it comes."""
        if stored is None:
            return cls()
        fields = {
            each["key"]: Field(each.get("send", True), each.get("name", ""), each.get("label", ""))
            for each in stored.get("fields", ())
        }
        return cls(fields, stored.get("others", True))

    def as_json(self) -> dict[str, Any] | None:
        """None where it changes nothing. A field that is sent as it comes is named only where that matters."""
        plain = Field()
        named = [each.as_json(key) for key, each in self.fields.items() if each != plain or not self.others]
        return None if self.others and not named else {"fields": named, "others": self.others}

    def layout(self, layout: Layout) -> Layout:
        return Layout(tuple(self._column(column) for column in layout.columns if self._sends(column.key)))

    def answers(self, answers: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.fields and self.others:
            return answers
        return {self._name(key): value for key, value in answers.items() if self._sends(key)}

    def problems(self, layout: Layout) -> Iterator[Problem]:
        """What in it does not fit a form with these columns."""
        known = {column.key: column for column in layout.columns}
        taken = {key for key in known if key not in self.fields and self.others}
        for index, (key, each) in enumerate(self.fields.items()):
            if key not in known:
                message = _("The form has no field “%(key)s”. Remove it.") % {"key": key}
                yield Problem(index, "key", "unknown_field", message)
            elif each.send:
                if self._name(key) in taken:
                    message = _("Two fields would be sent as “%(name)s”. Give one of them another name.")
                    yield Problem(index, "name", "name_taken", message % {"name": self._name(key)})
                taken.add(self._name(key))

    def _sends(self, key: str) -> bool:
        each = self.fields.get(key)
        return self.others if each is None else each.send

    def _column(self, column: Column) -> Column:
        label = self.fields.get(column.key, Field()).label or column.label
        return replace(column, key=self._name(column.key), label=label, origin=column.key)

    def _name(self, key: str) -> str:
        if key in self.fields:
            return self.fields[key].name or key
        # A field that the form got later may have the name that was given to another: neither may replace the other.
        return f"{key}~" if key in self._given else key

    @cached_property
    def _given(self) -> set[str]:
        return {each.name for each in self.fields.values() if each.send}
