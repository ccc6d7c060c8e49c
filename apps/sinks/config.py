"""An action's settings: validated by its kind's one form, the secret ones kept apart and encrypted."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django import forms
from django.core.serializers.json import DjangoJSONEncoder

from apps.sinks.contract import Sink
from formhub.core import secrets as box

KEY_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """config: what may be shown. secrets: what may not. Both as they are stored, in plain JSON types."""

    config: dict[str, Any]
    secrets: dict[str, Any]

    @property
    def opened(self) -> dict[str, Any]:
        return self.config | self.secrets


def stored(config: Mapping[str, Any], token: str) -> Settings:
    """Raises core.secrets.SecretUnreadableError."""
    return Settings(dict(config), box.decrypt(token))


def secret_names(sink: type[Sink]) -> list[str]:
    return [name for name, field in sink.Config.base_fields.items() if getattr(field, "is_secret", False)]


def blank(sink: type[Sink], current: Settings | None = None, prefix: str | None = None) -> forms.Form:
    """The form to be filled in, with the present settings but no secret."""
    form = sink.Config(initial=dict(current.config) if current else None, prefix=prefix)
    return _lenient(form, current)


def validated(
    sink: type[Sink], data: Mapping[str, Any], current: Settings | None = None, prefix: str | None = None
) -> forms.Form:
    """The form with what was sent, already validated. A secret sent empty is validated with its present value."""
    kept = dict(current.secrets) if current else {}
    sent: Any = data.copy() if hasattr(data, "copy") else dict(data)
    names = {name: f"{prefix}-{name}" if prefix else name for name in secret_names(sink)}
    for name, key in names.items():
        if not sent.get(key) and name in kept:
            sent[key] = kept[name]
    form = sink.Config(sent, initial=dict(current.config) if current else None, prefix=prefix)
    form.full_clean()
    # From here on the form is only rendered, and a secret must not be: not even one that was just sent.
    for key in names.values():
        sent.pop(key, None)
    return _lenient(form, current)


def settings_of(sink: type[Sink], form: forms.Form) -> Settings:
    """The settings of a valid form."""
    plain: dict[str, Any] = orjson.loads(DjangoJSONEncoder().encode(form.cleaned_data))
    hidden = set(secret_names(sink))
    return Settings(
        {name: value for name, value in plain.items() if name not in hidden},
        {name: value for name, value in plain.items() if name in hidden and value},
    )


def destination_key(sink: type[Sink], settings: Settings) -> str:
    """The kind's name for the destination; one too long for an index is cut and told apart by its digest."""
    key = str(sink.destination(settings.opened))
    if len(key) <= KEY_LENGTH:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()
    return key[: KEY_LENGTH - len(digest) - 1] + "#" + digest


def _lenient(form: forms.Form, current: Settings | None) -> forms.Form:
    """A browser must not insist on a secret that is already there."""
    for name in current.secrets if current else ():
        if name in form.fields:
            form.fields[name].required = False
            form.fields[name].widget.is_required = False
    return form
