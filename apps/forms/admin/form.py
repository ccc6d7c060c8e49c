from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.forms import definition, fields, submissions
from apps.forms.admin import panel
from apps.forms.admin.model_forms import FieldForm, FieldFormSet, FormForm, settings_help
from apps.forms.models import Field, Form
from apps.orgs.admin_base import OrgScopedAdmin, OrgScopedStacked

STARTER = {"type": "short_text", "key": "name", "label": "What is your name?", "required": True, "position": 10}


class FieldInline(OrgScopedStacked):
    organization_path = "form__organization"
    model = Field
    form = FieldForm
    formset = FieldFormSet
    ordering = ("position", "id")
    ordering_field = "position"  # the theme's handle to drag rows; the numbers work without it
    collapsible = True
    verbose_name = gettext_lazy("question, page or group")
    verbose_name_plural = gettext_lazy("questions, pages and groups")
    fieldsets = (
        (None, {"fields": (("label", "type"), ("key", "required"), ("help",), ("settings",), ("position", "parent"))}),
    )

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        request.form_of_fields = obj  # type: ignore[attr-defined]
        return super().get_formset(request, obj, **kwargs)

    def choices_for(self, model: Any, request: HttpRequest, narrowed: QuerySet[Any] | None) -> QuerySet[Any]:
        """Rows of this very form that can hold others."""
        if model is not Field:
            return super().choices_for(model, request, narrowed)
        containers = [name for name in fields.TYPES if fields.get(name).container]
        form = getattr(request, "form_of_fields", None)
        rows = Field.objects.filter(form=form, type__in=containers)
        return rows.select_related("form").order_by("position", "id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("form")


@admin.register(Form)
class FormAdmin(OrgScopedAdmin):
    form = FormForm
    change_form_template = "forms/admin/form.html"
    list_display = ("title", "organization", "state", "public_id", "updated_at")
    list_filter = (("organization", RelatedOnlyFieldListFilter),)
    list_select_related = ("organization", "live")
    search_fields = ("title", "slug", "public_id")
    search_help_text = gettext_lazy("Search by title, short name or public id")
    prepopulated_fields = {"slug": ("title",)}
    add_fieldsets = ((None, {"fields": ("title", "organization", "slug", ("default_language", "region"))}),)
    fieldsets = (
        (None, {"fields": ("title", ("organization", "slug"), ("default_language", "languages"), "region")}),
        (
            gettext_lazy("After sending"),
            {"fields": ("ending_title", "ending_text"), "classes": ("collapse",)},
        ),
        (
            gettext_lazy("Who may send, and until when"),
            {
                "fields": ("key_required", "allowed_origins", "closed_at", "closed_text"),
                "classes": ("collapse",),
            },
        ),
        (
            gettext_lazy("Limits of this form"),
            {
                "fields": (("per_address", "per_key", "per_form"),),
                "classes": ("collapse",),
                "description": gettext_lazy("Empty: the limits of this installation."),
            },
        ),
    )

    class Media:
        css = {"all": ("forms/admin.css",)}
        js = ("forms/admin.js",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj else self.add_fieldsets

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        return [FieldInline] if obj else []

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """One's own organization if there is but one, and language and region as in the newest form."""
        organizations = list(self.choices_for(Form.organization.field.related_model, request, None)[:2])
        newest = self.get_queryset(request).order_by("-created_at").first()
        initial: dict[str, Any] = {"organization": organizations[0].pk} if len(organizations) == 1 else {}
        if newest is not None:
            initial |= {"region": newest.region, "default_language": newest.default_language}
        return initial | super().get_changeform_initial_data(request)

    @admin.display(description=gettext_lazy("state"))
    def state(self, obj: Form) -> str:
        if obj.closed:
            return _("Closed")
        return _("Live, version %(number)s") % {"number": obj.live.number} if obj.live else _("Draft")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if "_close" in request.POST:
            obj.closed_at = timezone.now()
        elif "_open" in request.POST:
            obj.closed_at = None
        super().save_model(request, obj, form, change)
        if not change:
            Field.objects.create(form=obj, **STARTER)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, _("The form is made. Write its questions, then publish it."), messages.SUCCESS)
        return self._page_of(obj)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if "_publish" in request.POST:
            self._publish(request, obj)
            return self._page_of(obj)
        if "_close" in request.POST or "_open" in request.POST:
            text = _("The form is closed.") if obj.closed else _("The form is open.")
            self.message_user(request, text, messages.SUCCESS)
            return self._page_of(obj)
        return super().response_change(request, obj)

    def _publish(self, request: HttpRequest, obj: Form) -> None:
        before = obj.live_id
        try:
            version = definition.publish(obj, request.user)
        except definition.PublishRefused:
            text = _("Saved, but not published: see what is missing below.")
            self.message_user(request, text, messages.ERROR)
            return
        if version.pk == before:
            self.message_user(request, _("Nothing has changed since version %d.") % version.number, messages.INFO)
            return
        self.audit(request, "published", obj, {"version": [None, version.number]})
        self.message_user(request, _("Version %d is live.") % version.number, messages.SUCCESS)

    def _page_of(self, obj: Form) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse("admin:forms_form_change", args=[obj.pk]))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """With what goes for good: nothing else on the page would say so."""
        shown, counts, refused, protected = super().get_deleted_objects(objs, request)
        held = {obj: submissions.count(obj.pk) for obj in objs}
        shown = [self._with_submissions(obj, count) for obj, count in held.items()]
        if total := sum(held.values()):
            counts = {**counts, _("submissions, erased for good"): total}
        return shown, counts, refused, protected

    def _with_submissions(self, obj: Form, count: int) -> str:
        if not count:
            return str(obj)
        words = ngettext(
            "%(form)s: %(count)d submission is erased with it, for good. What was delivered, such as a row in a "
            "Google Sheet, stays where it is.",
            "%(form)s: %(count)d submissions are erased with it, for good. What was delivered, such as rows in a "
            "Google Sheet, stays where it is.",
            count,
        )
        return words % {"form": obj, "count": count}

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        obj = kwargs.get("obj")
        if obj is not None:
            types = [fields.get(name) for name in fields.TYPES]
            context["field_types"] = [(field_type, settings_help(field_type.name)) for field_type in types]
            context |= panel.context(obj, request)
        return super().render_change_form(request, context, *args, **kwargs)
