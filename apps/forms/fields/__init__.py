"""Field types by name. To add one: a module with a `FieldType` subclass, its template, and a line in `TYPES`."""

from functools import cache
from importlib import import_module

from apps.forms.fields.base import Element, FieldType, Refused, Settings, Text, text

TYPES = {
    "short_text": "apps.forms.fields.short_text.ShortText",
    "long_text": "apps.forms.fields.long_text.LongText",
    "email": "apps.forms.fields.email.Email",
    "phone": "apps.forms.fields.phone.Phone",
    "url": "apps.forms.fields.url.Url",
    "integer": "apps.forms.fields.integer.Integer",
    "decimal": "apps.forms.fields.decimal.DecimalNumber",
    "currency": "apps.forms.fields.currency.Currency",
    "single_choice": "apps.forms.fields.single_choice.SingleChoice",
    "multiple_choice": "apps.forms.fields.multiple_choice.MultipleChoice",
    "dropdown": "apps.forms.fields.dropdown.Dropdown",
    "multi_dropdown": "apps.forms.fields.multi_dropdown.MultiDropdown",
    "country": "apps.forms.fields.country.Country",
    "yes_no": "apps.forms.fields.yes_no.YesNo",
    "consent": "apps.forms.fields.consent.Consent",
    "date": "apps.forms.fields.date.Date",
    "time": "apps.forms.fields.time.Time",
    "date_time": "apps.forms.fields.date_time.DateTime",
    "linear_scale": "apps.forms.fields.linear_scale.LinearScale",
    "star_rating": "apps.forms.fields.star_rating.StarRating",
    "nps": "apps.forms.fields.nps.Nps",
    "page": "apps.forms.fields.page.Page",
    "group": "apps.forms.fields.group.Group",
    "statement": "apps.forms.fields.statement.Statement",
    "divider": "apps.forms.fields.divider.Divider",
}

__all__ = ["TYPES", "Element", "FieldType", "Refused", "Settings", "Text", "UnknownType", "get", "names", "text"]


class UnknownType(KeyError):  # noqa: N818 - says what is unknown
    """No field type has this name."""


@cache
def get(name: str) -> FieldType:
    """The type of that name, imported on first use. Raises UnknownType."""
    if name not in TYPES:
        raise UnknownType(name)
    module, _, attribute = TYPES[name].rpartition(".")
    field_type: FieldType = getattr(import_module(module), attribute)()
    return field_type


def names(*, answerable: bool | None = None) -> list[str]:
    return [name for name in TYPES if answerable is None or get(name).answerable is answerable]
