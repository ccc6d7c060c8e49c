"""Analyses of a form: switched on, set up and switched off."""

from typing import Any, ClassVar

import orjson
from django import forms
from django.contrib import admin
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.orgs import access
from apps.orgs.access import Actor, Right
from apps.orgs.admin_base import OrgScopedAdmin
from apps.orgs.plugin_forms import PREFIX, add_errors, themed
from apps.streams.contract import Processor
from apps.streams.models import Processing
from apps.streams.registry import registry


class ProcessingForm(forms.ModelForm[Processing]):
    """The settings' inputs stand beside the others under names of their own; the processor's form validates them."""

    kind: ClassVar[type[Processor] | None] = None
    actor: ClassVar[Actor] = Actor()

    class Meta:
        model = Processing
        fields = ("form", "on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update({f"{PREFIX}-{name}": value for name, value in self.instance.config.items()})

    def clean_form(self) -> Any:
        form = self.cleaned_data["form"]
        if not access.allowed(self.actor, form.organization_id, Right.EDIT):
            raise ValidationError(_("You may not change the analyses of this form."))
        if self.kind and Processing.objects.filter(form=form, processor=self.kind.name).exists():
            raise ValidationError(_("This form has this analysis already: change that one."))
        return form

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.kind is not None:
            self._clean_settings(self.kind)
        return cleaned

    def _clean_settings(self, kind: type[Processor]) -> None:
        form = kind.Config(self.data, prefix=PREFIX)
        add_errors(self, form)
        if not form.errors:
            self.instance.processor = kind.name
            self.instance.config = orjson.loads(DjangoJSONEncoder().encode(form.cleaned_data))


@admin.register(Processing)
class ProcessingAdmin(OrgScopedAdmin):
    organization_path = "form__organization"
    fixed_fields = ("form",)
    list_display = ("processor_label", "form", "on", "updated_at")
    list_filter = ("on", ("form", RelatedOnlyFieldListFilter))
    list_select_related = ("form",)
    ordering = ("-id",)
    search_fields = ("form__title",)
    search_help_text = gettext_lazy("Search by the title of the form")
    empty_text = gettext_lazy(
        "An analysis looks at each submission of a form, for slang for example, and notes a result."
    )

    class Media:
        css: ClassVar[Any] = {"all": ("forms/admin.css",)}

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kind = self._kind(request, obj)
        names = [f"{PREFIX}-{name}" for name in kind.Config.base_fields] if kind else []
        return [(None, {"fields": ("form", "on")}), (kind.label if kind else _("Settings"), {"fields": names})]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kind = self._kind(request, obj)
        fields = kind.Config.base_fields if kind else {}
        inputs: dict[str, Any] = {f"{PREFIX}-{name}": themed(field) for name, field in fields.items()}
        kwargs["form"] = type(
            "ProcessingForm", (ProcessingForm,), {**inputs, "kind": kind, "actor": self.actor(request)}
        )
        kwargs["fields"] = ("on",) if obj else ("form", "on")
        return super().get_form(request, obj, change, **kwargs)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """First the processor is chosen, then its settings are asked for."""
        if not self.has_add_permission(request) or self._kind(request, None) is not None:
            return super().add_view(request, form_url, extra_context)
        context = {
            **self.admin_site.each_context(request),
            "title": _("What shall look at each submission?"),
            "opts": self.opts,
            "kinds": [_choice(kind, request) for kind in registry.kinds()],
            "media": self.media,
        }
        return TemplateResponse(request, "sinks/admin/kinds.html", context)

    @admin.display(description=gettext_lazy("analysis"), ordering="processor")
    def processor_label(self, obj: Processing) -> str:
        kind = registry.find(obj.processor)
        return str(kind.label) if kind else _("%(name)s (not installed)") % {"name": obj.processor}

    def _kind(self, request: HttpRequest, obj: Processing | None) -> type[Processor] | None:
        return registry.find(obj.processor if obj else request.GET.get("processor", ""))


def _choice(kind: type[Processor], request: HttpRequest) -> dict[str, str]:
    query = request.GET.copy()
    query["processor"] = kind.name
    return {"label": str(kind.label), "description": str(kind.description), "address": f"?{query.urlencode()}"}
