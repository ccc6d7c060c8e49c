"""The fields of a form as rows to choose from: sent or not, under which name, with which words."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.orgs.theme import TextInput
from apps.sinks.selection import LABEL_MAX, NAME, NAME_MAX, Field, Selection
from formhub.core.layout import Layout


class SelectionWidget(forms.Widget):
    template_name = "sinks/admin/selection.html"
    use_fieldset = True

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self._columns = layout.columns

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        chosen = value if isinstance(value, Selection) else Selection.from_json(value)
        rows = [
            {
                "column": column,
                "field": chosen.fields.get(column.key, Field(send=chosen.others)),
                "prefix": f"{name}-{column.key}",
            }
            for column in self._columns
        ]
        context = super().get_context(name, value, attrs)
        limits = {"name_max": NAME_MAX, "label_max": LABEL_MAX, "input_class": TextInput().attrs.get("class", "")}
        return context | {"name": name, "rows": rows, "others": chosen.others, **limits}

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Selection | None:
        """None where the rows were not sent at all."""
        if f"{name}-shown" not in data:
            return None
        fields = {column.key: self._row(data, f"{name}-{column.key}") for column in self._columns}
        return Selection(fields, f"{name}-others" in data)

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return f"{name}-shown" not in data

    def _row(self, data: Mapping[str, Any], prefix: str) -> Field:
        words = {word: str(data.get(f"{prefix}-{word}", "")).strip() for word in ("name", "label")}
        return Field(f"{prefix}-send" in data, **words)


class SelectionField(forms.Field):
    """Its value is as it is stored; where the rows were not sent, what it was."""

    def __init__(self, layout: Layout, present: Any) -> None:
        super().__init__(required=False, label=_("Fields"), widget=SelectionWidget(layout))
        self._layout = layout
        self._present = present

    def clean(self, value: Selection | None) -> Any:
        if value is None:
            return self._present
        errors = [*self._unusable(value), *(problem.message for problem in value.problems(self._layout))]
        if errors:
            raise ValidationError(errors)
        return value.as_json()

    def has_changed(self, initial: Any, data: Any) -> bool:
        return data is not None and data.as_json() != initial

    def _unusable(self, value: Selection) -> list[str]:
        found = []
        for key, field in value.fields.items():
            if field.name and not NAME.fullmatch(field.name):
                message = _("“%(name)s” is no name: begin with a letter; letters, digits and underscores may follow.")
                found.append(message % {"name": field.name[:NAME_MAX]})
            if len(field.label) > LABEL_MAX:
                message = _("The label of “%(key)s” is longer than %(most)d characters.")
                found.append(message % {"key": key, "most": LABEL_MAX})
        return found
