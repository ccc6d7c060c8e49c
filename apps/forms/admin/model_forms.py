"""The forms of the admin's pages: a form's own settings, and the rows of its draft."""

import json
from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.utils.functional import cached_property
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms import fields
from apps.forms.admin.inputs import LanguagesField, OriginsField, RateField, SettingsField, TextField
from apps.forms.models import Field, Form
from apps.forms.rules import EXAMPLES, RATES, STEP, free_slug, is_region, key_from, numbered, published_problem
from apps.orgs.theme import Select, TextInput


class FormForm(forms.ModelForm[Form]):
    allowed_origins = OriginsField(
        label=gettext_lazy("Sites that may send answers"),
        help_text=gettext_lazy("One origin a line, as https://example.org. Empty: any site."),
    )
    languages = LanguagesField(
        label=gettext_lazy("Further languages"),
        help_text=gettext_lazy("Codes with commas between: de, fr. Texts are then written for each language."),
    )
    ending_title = TextField(
        label=gettext_lazy("Thanks"), help_text=gettext_lazy("The heading people see after sending.")
    )
    ending_text = TextField(lines=3, label=gettext_lazy("What happens next"))
    per_address = RateField(label=gettext_lazy("Per address"), help_text=gettext_lazy("60/minute"))
    per_key = RateField(label=gettext_lazy("Per API key"), help_text=gettext_lazy("600/minute"))
    per_form = RateField(label=gettext_lazy("For the form as a whole"))

    class Meta:
        model = Form
        fields = (
            "organization",
            "title",
            "slug",
            "default_language",
            "region",
            "key_required",
            "allowed_origins",
            "closed_at",
            "closed_text",
        )
        help_texts = {
            "slug": gettext_lazy("Stands in the form's address. Changing it breaks links that use it."),
            "region": gettext_lazy("Two letters, as IN or DE: the country of phone numbers written without one."),
            "default_language": gettext_lazy("The language the questions are written in: en, de."),
            "key_required": gettext_lazy("Only programs with an API key of your organization may send answers."),
            "closed_at": gettext_lazy("From then on no answers are taken. Empty: open."),
            "closed_text": gettext_lazy("What people read when the form is closed."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "slug" in self.fields:
            self.fields["slug"].required = False
        ending: dict[str, Any] = next(iter(self.instance.settings.get("endings", [])), {})
        self.initial.update(
            {
                "languages": self.instance.settings.get("languages", []),
                "ending_title": ending.get("title", ""),
                "ending_text": ending.get("text", ""),
                **{name: self.instance.rates.get(name, "") for name in RATES},
            }
        )

    def clean_region(self) -> str:
        region: str = self.cleaned_data["region"].upper()
        if region and not is_region(region):
            raise ValidationError(_("Write the two letters of a country, as IN or DE."))
        return region

    def clean_default_language(self) -> str:
        [language] = LanguagesField().clean(self.cleaned_data["default_language"])[:1] or ["en"]
        return str(language)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        organization = getattr(cleaned.get("organization"), "pk", self.instance.organization_id)
        if not cleaned.get("slug") and cleaned.get("title") and organization:
            cleaned["slug"] = free_slug(organization, cleaned["title"])
        if cleaned.get("ending_text") and not cleaned.get("ending_title"):
            self.add_error("ending_title", _("Write the heading too."))
        self.instance.settings = self._settings(cleaned)
        self.instance.rates = {name: cleaned[name] for name in RATES if cleaned.get(name)}
        return cleaned

    def _settings(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        ending = {"title": cleaned.get("ending_title"), "text": cleaned.get("ending_text")}
        given = {name: text for name, text in ending.items() if text}
        language = cleaned.get("default_language")
        return {
            **self.instance.settings,
            "languages": [code for code in cleaned.get("languages", []) if code != language],
            "endings": [{"key": "thanks", **given}] if given else [],
        }


class FieldForm(forms.ModelForm[Field]):
    label = TextField(label=gettext_lazy("Question"), help_text="")
    help = TextField(label=gettext_lazy("Hint"), help_text=gettext_lazy("Shown under the question."))
    settings = SettingsField(label=gettext_lazy("Settings"))

    class Meta:
        model = Field
        fields = ("position", "type", "label", "key", "required", "help", "parent", "settings")
        widgets = {"key": TextInput()}

    def __init__(self, *args: Any, owner: Form, containers: list[tuple[Any, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner
        self.fields["type"] = forms.ChoiceField(
            label=_("Type"),
            choices=[(name, fields.get(name).label) for name in fields.TYPES],
            initial="short_text",
            widget=Select(),
        )
        self.fields["position"].required = False
        self.fields["position"].help_text = _("Order on the form; a new one goes last.")
        self.fields["key"].help_text = _("Name of its answers in data and sheets. Empty: made from the question.")
        if isinstance(parent := self.fields.get("parent"), forms.ModelChoiceField):
            parent.choices = [("", _("Nothing")), *containers]
            parent.help_text = _("Empty: on the page above it.")
        if self.instance.pk:
            self.fields["settings"].help_text = settings_help(self.instance.type)

    def clean_position(self) -> int:
        # Without a number it goes last; the formset numbers all rows anew.
        position: int | None = self.cleaned_data["position"]
        return 1_000_000 if position is None else position

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        name = cleaned.get("type", "")
        self._check_published(cleaned)
        if name in fields.TYPES and "settings" in cleaned:
            found = [f"{path}: {message}" for path, message in fields.get(name).problems(cleaned["settings"])]
            if found and name in EXAMPLES and not cleaned["settings"]:
                found.append(_("For example: %(example)s") % {"example": json.dumps(EXAMPLES[name])})
            for message in found:
                self.add_error("settings", message)
        return cleaned

    def _check_published(self, cleaned: dict[str, Any]) -> None:
        was = self.initial.get("key") if self.instance.pk else None
        key, name = cleaned.get("key"), cleaned.get("type")
        if problem := published_problem(self.owner.keys, was, key, str(name)):
            self.add_error("key", problem)


class FieldFormSet(BaseInlineFormSet[Any, Any, Any]):
    """The rows of one form: keys made where left empty, each once, and nothing inside itself."""

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return {**super().get_form_kwargs(index), "owner": self.instance, "containers": self._containers}

    @cached_property
    def _containers(self) -> list[tuple[Any, str]]:
        # Asked for once: a chooser of its own in every row would ask for every row.
        names = [name for name in fields.TYPES if fields.get(name).container]
        rows = self.instance.fields.filter(type__in=names).select_related("form").order_by("position", "id")
        return [(row.pk, str(row)) for row in rows]

    def clean(self) -> None:
        super().clean()
        kept = [form for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        self._number(kept)
        self._make_keys(kept)
        for form in self._repeated(kept):
            form.add_error("key", _("Another field has this key already."))
        for form in _inside_themselves(kept):
            form.add_error("parent", _("A field cannot lie inside itself."))

    def _number(self, kept: list[FieldForm]) -> None:
        ordered = sorted(kept, key=lambda form: form.cleaned_data.get("position", 0))
        for number, form in enumerate(ordered, start=1):
            form.instance.position = number * STEP
            if "position" not in form.changed_data and form.initial.get("position") != number * STEP:
                form.changed_data.append("position")

    def _make_keys(self, kept: list[FieldForm]) -> None:
        taken = {form.cleaned_data["key"] for form in kept if form.cleaned_data.get("key")} | set(self.instance.keys)
        for form in kept:
            if not form.cleaned_data.get("key") and "key" not in form.errors:
                base = key_from(form.cleaned_data.get("label")) or form.cleaned_data.get("type", "field")
                key = next(key for key in numbered(base, "_") if key not in taken)
                taken.add(key)
                form.cleaned_data["key"] = form.instance.key = key
                form.changed_data.append("key")

    def _repeated(self, kept: list[FieldForm]) -> Iterator[FieldForm]:
        seen: set[str] = set()
        for form in kept:
            key = form.cleaned_data.get("key")
            if key and key in seen:
                yield form
            seen.add(key or "")


def _inside_themselves(kept: list[FieldForm]) -> Iterator[FieldForm]:
    parents = {form.instance.pk: form.cleaned_data.get("parent") for form in kept if form.instance.pk}
    for form in kept:
        seen = {form.instance.pk}
        parent = form.cleaned_data.get("parent")
        while parent is not None and parent.pk not in seen:
            seen.add(parent.pk)
            parent = parents.get(parent.pk)
        if parent is not None and parent.pk == form.instance.pk:
            yield form


def settings_help(name: str) -> str:
    """What a type can be set to, a line for each setting, as HTML."""
    if name not in fields.TYPES:
        return ""
    rules = fields.get(name).settings
    if not rules:
        return _("This type has no settings.")
    lines = ((setting, f"{rule['description']}{_default(rule)}") for setting, rule in rules.items())
    return format_html_join(mark_safe("<br>"), "<code>&quot;{}&quot;</code>: {}", lines)


def _default(rule: Any) -> str:
    shown = rule.get("default")
    if shown in (None, [], "", False):
        return ""
    return " " + _("(Without it: %(value)s.)") % {"value": shown}
