"""Inputs for what models keep as JSON: people write plain text, lines and settings."""

import json
import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.forms import rules
from apps.forms.fields.base import TEXT_LIMIT
from apps.orgs.theme import Textarea, TextInput


class TextField(forms.CharField):
    """A text, or in several languages {"en": "Name", "de": "Name"}."""

    def __init__(self, *, lines: int = 1, **kwargs: Any) -> None:
        widget = TextInput() if lines == 1 else Textarea(attrs={"rows": lines})
        super().__init__(required=False, max_length=TEXT_LIMIT, widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text.startswith("{"):
            return text
        try:
            languages = json.loads(text)
        except ValueError:
            return text
        if not isinstance(languages, dict) or not all(isinstance(words, str) for words in languages.values()):
            raise ValidationError(_('Write the languages as {"en": "Name", "de": "Name"}.'))
        return languages

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class SettingsField(forms.JSONField):
    """Settings of a field as a JSON object; nothing at all means none."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"rows": 3, "spellcheck": "false", "class": "settings-input"}
        super().__init__(required=False, widget=Textarea(attrs=attrs), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if value in ({}, None, ""):
            return ""
        return json.dumps(value, ensure_ascii=False, indent=2) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        try:
            settings = super().to_python(value) or {}
            json.dumps(settings, allow_nan=False)
        except (ValidationError, ValueError) as error:
            raise ValidationError(_('Write the settings as JSON, for example {"max_length": 200}.')) from error
        if not isinstance(settings, dict):
            raise ValidationError(_('Put the settings in braces, for example {"max_length": 200}.'))
        return settings

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(initial or None, data)


class OriginsField(forms.CharField):
    """Origins (https://example.org), one a line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=Textarea(attrs={"rows": 3, "spellcheck": "false"}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        lines = [line.strip().rstrip("/") for line in super().clean(value).splitlines() if line.strip()]
        wrong = [line for line in lines if not rules.is_origin(line)]
        if wrong:
            raise ValidationError(_("Write %(line)s like https://example.org, one a line.") % {"line": wrong[0][:100]})
        if len(lines) > rules.ORIGINS_MAX:
            raise ValidationError(_("At most %(limit)s origins.") % {"limit": rules.ORIGINS_MAX})
        return list(dict.fromkeys(line.lower() for line in lines))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class RateField(forms.CharField):
    """Empty for the installation's own limit, or 60/minute."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=TextInput(), **kwargs)

    def clean(self, value: Any) -> str:
        rate: str = super().clean(value).replace(" ", "").lower()
        if rate and not rules.RATE.fullmatch(rate):
            raise ValidationError(_("Write a number and a time, for example 60/minute."))
        return rate


class LanguagesField(forms.CharField):
    """Codes of languages, with commas between."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=TextInput(), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        codes = [code for code in re.split(r"[\s,]+", super().clean(value)) if code]
        wrong = [code for code in codes if not rules.LANGUAGE.fullmatch(code)]
        if wrong:
            raise ValidationError(_("%(code)s is no code of a language; write de, fr.") % {"code": wrong[0][:20]})
        return list(dict.fromkeys(codes))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)
