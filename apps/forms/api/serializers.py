"""Forms, fields and versions as JSON, and what is asked of them when they are sent."""

import json
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.forms import fields, rules
from apps.forms.fields.base import TEXT, TEXT_LIMIT
from apps.forms.models import KEY_PATTERN, Form, FormVersion
from apps.orgs.api.serializers import OrganizationId, Strict, Text

LANGUAGES_MAX = 50
SETTINGS_BYTES_MAX = 200_000


@extend_schema_field({**TEXT, "description": 'A text, or one for each language: {"en": "Name", "de": "Name"}.'})
class Words(serializers.JSONField):
    """A text, or {language: text}."""

    def to_internal_value(self, data: Any) -> Any:
        texts = data.values() if isinstance(data, Mapping) else [data]
        if not all(isinstance(text, str) for text in texts):
            raise serializers.ValidationError(_('Send a text, or {"en": "Name", "de": "Name"}.'), code="invalid")
        if any(len(text) > TEXT_LIMIT for text in texts):
            message = _("At most %(limit)s characters.") % {"limit": TEXT_LIMIT}
            raise serializers.ValidationError(message, code="max_length")
        wrong = [code for code in data if not rules.LANGUAGE.fullmatch(code)] if isinstance(data, Mapping) else []
        if wrong:
            message = _("%(code)s is no code of a language; write de, fr.") % {"code": wrong[0][:20]}
            raise serializers.ValidationError(message, code="invalid_language")
        return data


@extend_schema_field({"type": "object", "additionalProperties": True, "description": "Settings of the type."})
class Settings(serializers.JSONField):
    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError(_("Send an object."), code="invalid")
        if len(json.dumps(data)) > SETTINGS_BYTES_MAX:
            raise serializers.ValidationError(_("These settings are too large."), code="too_large")
        return data


class Rate(Text):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_blank=True, max_length=30, help_text="As 60/minute.", **kwargs)

    def to_internal_value(self, data: Any) -> str:
        rate = super().to_internal_value(data)
        if rate and not rules.RATE.fullmatch(rate):
            raise serializers.ValidationError(_("Write a number and a time, for example 60/minute."), code="invalid")
        return rate


class LimitsSerializer(Strict):
    """Limits of this form; empty: those of the installation."""

    per_address = Rate()
    per_key = Rate()
    per_form = Rate()


class EndingSerializer(Strict):
    """What people read after sending."""

    title = Words()
    text = Words(required=False)

    def validate_title(self, title: Any) -> Any:
        if not title:
            raise serializers.ValidationError(_("Write the heading too."), code="blank")
        return title


class _Origin(Text):
    def to_internal_value(self, data: Any) -> str:
        origin = super().to_internal_value(data).rstrip("/").lower()
        if not rules.is_origin(origin):
            raise serializers.ValidationError(_("Write an origin as https://example.org."), code="invalid")
        return origin


class _Language(Text):
    def to_internal_value(self, data: Any) -> str:
        code = super().to_internal_value(data)
        if not rules.LANGUAGE.fullmatch(code):
            raise serializers.ValidationError(_("Write the code of a language, as en or de."), code="invalid")
        return code


class FormSerializer(Strict):
    id = serializers.CharField(source="public_id", read_only=True, help_text="The form's public id.")
    organization = OrganizationId(source="organization_id", read_only=True)
    title = Text(max_length=200)
    slug = serializers.RegexField(
        r"^[-a-zA-Z0-9_]+\Z",
        max_length=80,
        required=False,
        help_text="Stands in addresses: organization~slug. Made from the title if none is sent.",
    )
    languages = serializers.ListField(
        child=_Language(max_length=12),
        required=False,
        min_length=1,
        max_length=LANGUAGES_MAX,
        help_text="The first is the one the questions are written in.",
    )
    region = Text(
        max_length=2, required=False, allow_blank=True, help_text="The country of phone numbers written without one."
    )
    ending = EndingSerializer(required=False, allow_null=True)
    key_required = serializers.BooleanField(required=False, help_text="Only programs with an API key may send answers.")
    allowed_origins = serializers.ListField(
        child=_Origin(max_length=300),
        required=False,
        max_length=rules.ORIGINS_MAX,
        help_text="Sites that may send answers, as https://example.org; empty: any.",
    )
    closed_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="From then on no answers are taken; null: open."
    )
    closed_text = Text(max_length=2000, required=False, allow_blank=True)
    limits = LimitsSerializer(required=False)
    state = serializers.SerializerMethodField()
    version = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    @extend_schema_field({"type": "string", "enum": ["draft", "live", "closed"]})
    def get_state(self, form: Form) -> str:
        return "closed" if form.closed else "live" if form.live_id else "draft"

    @extend_schema_field({"type": ["integer", "null"], "description": "The published version."})
    def get_version(self, form: Form) -> int | None:
        return form.live.number if form.live else None

    def validate_region(self, region: str) -> str:
        if region and not rules.is_region(region.upper()):
            raise serializers.ValidationError(_("Write the two letters of a country, as IN or DE."), code="invalid")
        return region.upper()

    def validate_languages(self, languages: list[str]) -> list[str]:
        return list(dict.fromkeys(languages))

    def to_representation(self, form: Form) -> dict[str, Any]:
        ending = next(iter(form.settings.get("endings", [])), None)
        form.languages = [form.default_language, *form.settings.get("languages", [])]  # type: ignore[attr-defined]
        form.ending = {"title": ending["title"], "text": ending.get("text", "")} if ending else None  # type: ignore[attr-defined]
        form.limits = {name: form.rates.get(name, "") for name in rules.RATES}  # type: ignore[attr-defined]
        found: dict[str, Any] = super().to_representation(form)
        return found


class NewFormSerializer(FormSerializer):
    organization = OrganizationId(required=False)


class FieldSerializer(Strict):
    id = serializers.IntegerField(source="row.pk", read_only=True)
    parent = serializers.IntegerField(  # type: ignore[assignment]
        source="row.parent_id", required=False, allow_null=True, help_text="The page or group it lies in; null: none."
    )
    position = serializers.IntegerField(
        source="index", required=False, min_value=0, max_value=1000, help_text="Its place inside its parent, from 0."
    )
    type = Text(source="row.type", max_length=50, help_text="See /field-types.")
    key = serializers.RegexField(
        KEY_PATTERN,
        source="row.key",
        max_length=63,
        required=False,
        allow_blank=True,
        help_text="The name of its answers; made from the label if none is sent. Frozen once published.",
    )
    label = Words(source="row.label", required=False)  # type: ignore[assignment]
    help = Words(source="row.help", required=False)
    required = serializers.BooleanField(source="row.required", required=False)  # type: ignore[assignment]
    settings = Settings(source="row.settings", required=False)
    published = serializers.SerializerMethodField()

    @extend_schema_field({"type": "boolean", "description": "Its key was published and stays."})
    def get_published(self, placed: Any) -> bool:
        return placed.row.key in placed.row.form.keys

    def validate_type(self, type: str) -> str:
        if type not in fields.TYPES:
            message = _("There is no field type %(type)s.") % {"type": type}
            raise serializers.ValidationError(message, code="unknown_type")
        return type


class VersionSerializer(Strict):
    number = serializers.IntegerField()
    live = serializers.SerializerMethodField()
    questions = serializers.SerializerMethodField()
    published_at = serializers.DateTimeField()
    published_by = serializers.SerializerMethodField()

    @extend_schema_field({"type": "boolean", "description": "It is the one that takes answers."})
    def get_live(self, version: FormVersion) -> bool:
        return version.form.live_id == version.pk

    @extend_schema_field({"type": "integer", "description": "How many questions it asks."})
    def get_questions(self, version: FormVersion) -> int:
        return len(version.layout)

    @extend_schema_field({"type": ["string", "null"], "description": "The e-mail address of who published it."})
    def get_published_by(self, version: FormVersion) -> str | None:
        return version.published_by.email if version.published_by else None


@extend_schema_field({"$ref": "#/components/schemas/Definition"})
class DefinitionField(serializers.JSONField):
    pass


class VersionDetailSerializer(VersionSerializer):
    definition = DefinitionField()
    schema = serializers.DictField(help_text="The JSON Schema (2020-12) of its answers.")


class DefinitionChangeSerializer(Strict):
    what = serializers.ChoiceField(["added", "removed", "moved", "changed"])
    key = serializers.CharField(help_text="The field's key; empty for the form itself.")
    member = serializers.CharField(help_text="What of it changed, as label or settings.max.")
    words = serializers.CharField(help_text="The change in a sentence.")
    before = serializers.JSONField(help_text="As it was; null: not there.")
    after = serializers.JSONField(help_text="As it is; null: not there.")


class DefinitionDiffSerializer(Strict):
    before = serializers.CharField(help_text="A version's number, or draft.")
    after = serializers.CharField(help_text="A version's number, or draft.")
    changes = DefinitionChangeSerializer(many=True)


class DraftProblemSerializer(Strict):
    path = serializers.CharField(help_text="Where in the definition: pages[0].elements[2].settings.max.")
    field = serializers.IntegerField(allow_null=True, help_text="The id of the field that is meant.")
    message = serializers.CharField()


class DraftReviewSerializer(Strict):
    publishable = serializers.BooleanField()
    changed = serializers.BooleanField(help_text="Whether the draft differs from what is published.")
    problems = DraftProblemSerializer(many=True)
    changes = DefinitionChangeSerializer(many=True)


class FieldTypeSerializer(Strict):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    description = serializers.CharField()
    answerable = serializers.BooleanField(help_text="It takes an answer.")
    container = serializers.BooleanField(help_text="It holds other fields.")
    settings_schema = serializers.DictField(help_text="The JSON Schema (2020-12) of its settings.")
    settings_example = serializers.DictField()
    answer_schema = serializers.DictField(
        allow_null=True, help_text="The JSON Schema of an answer with those example settings; null: it takes none."
    )
    answer_example = serializers.JSONField()
    accessibility = serializers.CharField()
