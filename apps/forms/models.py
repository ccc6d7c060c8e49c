"""Who asks what: a form, the rows of its draft, and the numbered versions that were published from it."""

import os
from typing import Any, NoReturn

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.forms import fields
from apps.forms.fields import text
from formhub.core.ids import public_id, uuid7

KEY_PATTERN = r"\A[a-z][a-z0-9_]{0,62}\Z"


def make_salt() -> bytes:
    return os.urandom(16)


class Immutable(Exception):  # noqa: N818 - names the state, as Problem does
    """A published version was to be changed or deleted."""


class Form(models.Model):
    """A form and how it takes answers. What it asks is in `fields` (the draft) and `live` (what is published).

    `keys` maps every key that was ever published to its field type: a key keeps its type for ever, so that columns
    of older submissions never change their meaning. `settings` holds "languages" (beyond the default one) and
    "endings". `rates` overrides limits: "per_address", "per_key", "per_form", each as "n/minute". `closed_at` may lie
    ahead: the form closes then.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        "orgs.Organization", models.CASCADE, related_name="forms", verbose_name=_("organization")
    )
    public_id = models.CharField(_("public id"), max_length=32, unique=True, default=public_id, editable=False)
    slug = models.SlugField(_("short name"), max_length=80)
    title = models.CharField(_("title"), max_length=200)
    default_language = models.CharField(_("language"), max_length=12, default="en")
    region = models.CharField(_("region for phone numbers"), max_length=2, blank=True)
    settings = models.JSONField(_("settings"), default=dict, blank=True)
    salt = models.BinaryField(max_length=16, default=make_salt, editable=False)
    key_required = models.BooleanField(_("needs an API key"), default=False)
    allowed_origins = models.JSONField(_("allowed origins"), default=list, blank=True)
    closed_at = models.DateTimeField(_("closed from"), null=True, blank=True)
    closed_text = models.TextField(_("text when closed"), blank=True, max_length=2000)
    rates = models.JSONField(_("limits"), default=dict, blank=True)
    keys = models.JSONField(default=dict, editable=False)
    live = models.ForeignKey(
        "forms.FormVersion",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("published version"),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        verbose_name = _("form")
        verbose_name_plural = _("forms")
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["organization", "slug"], name="forms_form_slug")]

    def __str__(self) -> str:
        return self.title

    @property
    def closed(self) -> bool:
        return self.closed_at is not None and self.closed_at <= timezone.now()


class Field(models.Model):
    """A row of a form's draft: a page, a group, a statement or a question.

    A question without a parent stands on the page before it (by position). `label` and `help` are a string or
    {language: string}. `settings` are those of the type.
    """

    form = models.ForeignKey(Form, models.CASCADE, related_name="fields")
    parent = models.ForeignKey(
        "self", models.CASCADE, null=True, blank=True, related_name="children", verbose_name=_("inside")
    )
    position = models.PositiveIntegerField(_("position"), default=0)
    type = models.CharField(_("type"), max_length=50)
    key = models.CharField(
        _("key"),
        max_length=63,
        blank=True,
        validators=[
            RegexValidator(
                KEY_PATTERN, _("Use small letters a-z, digits and _; begin with a letter; at most 63 characters.")
            )
        ],
    )
    label = models.JSONField(_("label"), default=str, blank=True)
    help = models.JSONField(_("hint"), default=str, blank=True)
    required = models.BooleanField(_("required"), default=False)
    settings = models.JSONField(_("settings"), default=dict, blank=True)

    class Meta:
        verbose_name = _("field")
        verbose_name_plural = _("fields")
        ordering = ["position", "id"]
        indexes = [models.Index(fields=["form", "position", "id"], name="forms_field_order")]

    def __str__(self) -> str:
        words = text(self.label, self.form.default_language) if self.label else self.key
        kind = str(fields.get(self.type).label) if self.type in fields.TYPES else self.type
        return f"{words[:80]} · {kind}" + (f" · {_('required')}" if self.required else "")


class VersionQuerySet(models.QuerySet["FormVersion"]):
    def update(self, **values: Any) -> NoReturn:
        raise Immutable("A published version never changes.")

    def delete(self) -> NoReturn:
        raise Immutable("A published version is deleted only with its form.")


class FormVersion(models.Model):
    """What was published, numbered from 1 per form, never changed afterwards.

    `definition` is the document of format formhub/1; `schema` the JSON Schema of its clean answers; `layout` its
    columns; `retired` the columns of earlier versions that it no longer has, newest first.
    """

    form = models.ForeignKey(Form, models.CASCADE, related_name="versions", verbose_name=_("form"))
    number = models.PositiveIntegerField(_("version"))
    definition = models.JSONField(_("definition"))
    schema = models.JSONField(_("schema of its answers"))
    layout = models.JSONField(_("columns"))
    retired = models.JSONField(_("columns of earlier versions"), default=list)
    published_at = models.DateTimeField(_("published at"), default=timezone.now)
    published_by = models.ForeignKey(
        "orgs.User",
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("published by"),
    )

    objects = VersionQuerySet.as_manager()

    class Meta:
        verbose_name = _("version")
        verbose_name_plural = _("versions")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["form", "number"], name="forms_version_number")]

    def __str__(self) -> str:
        return str(_("Version %(number)s") % {"number": self.number})

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Immutable("A published version never changes.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Immutable("A published version is deleted only with its form.")
