"""What serializers of the management API share: keys that nobody knows are refused by name, texts stay texts."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail


class Strict(serializers.Serializer[Any]):
    """Takes the fields it has and no others; what only the server sets is refused by name, never ignored."""

    def to_internal_value(self, data: Any) -> Any:
        errors = self._unknown(data) if isinstance(data, Mapping) else {}
        try:
            taken = super().to_internal_value(data)
        except serializers.ValidationError as error:
            found: Any = error.detail
            raise serializers.ValidationError({**found, **errors}) from None
        if errors:
            raise serializers.ValidationError(errors)
        return taken

    def _unknown(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return {name[:100]: [_refusal(self.fields.get(name))] for name in data if self._is_unknown(name)}

    def _is_unknown(self, name: str) -> bool:
        return name not in self.fields or self.fields[name].read_only


def _refusal(field: Any) -> ErrorDetail:
    if field is None:
        return ErrorDetail(_("There is no such field here; remove it."), code="unknown_field")
    return ErrorDetail(_("This is set by FormHub and cannot be sent; remove it."), code="read_only")


class Text(serializers.CharField):
    """A text, taken only as a JSON string: 5 and true are no texts."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class OrganizationId(serializers.UUIDField):
    """An organization's id; may be left out by a caller who has but one."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", "The organization's id.")
        super().__init__(**kwargs)
