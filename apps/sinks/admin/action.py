"""Actions: make, change, test, pause, resume, switch on and off, replay."""

import csv
from collections.abc import Iterable
from io import StringIO
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.orgs import access
from apps.orgs.access import Right
from apps.orgs.admin_base import OrgScopedAdmin
from apps.sinks import actions, fitting, hints, previewing, replay, trial, walks
from apps.sinks.admin import kinds
from apps.sinks.admin.action_form import action_form, setting_names
from apps.sinks.admin.replaying import OfDelivered, OfFailed, confirmation, perform
from apps.sinks.admin.selection_field import SelectionField
from apps.sinks.backlog import standing
from apps.sinks.changes import PLAIN, VERBS, present
from apps.sinks.changes import change as change_action
from apps.sinks.contract import Sink
from apps.sinks.models import Binding, BindingState, Parked
from apps.sinks.positions import log_end
from apps.sinks.previewing import Draft
from apps.sinks.registry import registry
from formhub.core.layout import Layout

SAID: dict[str, Any] = {
    "pause": gettext_lazy("The action is paused."),
    "resume": gettext_lazy("The action goes on with what has gathered."),
    "off": gettext_lazy("The action is off. What came before is still delivered."),
    "on": gettext_lazy("The action is on."),
    "fill": gettext_lazy("What was submitted before is delivered, in turn with what comes in."),
    "fill_later": gettext_lazy("The back-fill stops where it is. What comes in is delivered."),
    "fill_on": gettext_lazy("The back-fill goes on."),
}


@admin.register(Binding)
class ActionAdmin(OrgScopedAdmin):
    fixed_fields = ("organization", "form")
    change_form_template = "sinks/admin/action.html"
    list_display = ("name", "form", "kind_label", "state_shown", "delivered", "failed", "delivered_at")
    list_filter = ("state", ("form", RelatedOnlyFieldListFilter))
    list_select_related = ("form", "destination")
    ordering = ("-id",)  # a chooser's pages need an order as well as the list's
    search_fields = ("name", "form__title")
    search_help_text = gettext_lazy("Search by the name of the action or of its form")
    empty_text = gettext_lazy("An action does something with each submission, such as writing it to a Google Sheet.")
    actions = ("pause_all", "resume_all", "test_all")

    class Media:
        css = {"all": ("forms/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        parked = Parked.objects.filter(binding=OuterRef("pk"), again=False).order_by().values("binding")
        counted = Subquery(parked.annotate(count=Count("pk")).values("count"))
        rows: QuerySet[Any] = super().get_queryset(request).annotate(failed_count=Coalesce(counted, 0))
        return rows

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kind = self._kind(request, obj)
        first = ("name", "form", "kind_label") if obj else ("form", "name")
        found = [
            (None, {"fields": first}),
            (kind.label if kind else _("Settings"), {"fields": setting_names(kind)}),
            (_("When"), {"fields": ("condition", "flush_seconds")}),
        ]
        return [*found, (_("What is sent"), {"fields": ("selection",)})] if self._layout(request, obj) else found

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "kind_label")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kind = self._kind(request, obj)
        layout = self._layout(request, obj)
        rows = SelectionField(layout, obj.selection if obj else None) if layout else None
        kwargs["form"] = action_form(kind, present(obj) if obj else None, self.actor(request), rows)
        own = ("name", "flush_seconds", "condition", *(("selection",) if rows else ()))
        kwargs["fields"] = own if obj else ("form", *own)
        return super().get_form(request, obj, change, **kwargs)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """First the kind is chosen, then its settings are asked for."""
        if self._kind(request, None) is not None:
            return super().add_view(request, form_url, extra_context)
        context = {
            **self.admin_site.each_context(request),
            "title": _("What shall happen with each submission?"),
            "opts": self.opts,
            "kinds": [_choice(kind, request.GET.copy()) for kind in registry.kinds()],
            "may_see_all": access.is_operator(request.user),
            "media": self.media,
        }
        return TemplateResponse(request, "sinks/admin/kinds.html", context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            self._change(request, obj, form)
            return
        kind = form.kind
        made = actions.create(
            organization_id=obj.form.organization_id,
            form_id=obj.form_id,
            sink=kind,
            name=obj.name,
            settings=form.settings,
            position=log_end(obj.form_id),
            condition=obj.condition,
            flush_seconds=obj.flush_seconds,
            selection=obj.selection,
        )
        obj.__dict__.update(made.__dict__)
        self.audit(request, "added", obj, {})

    def _change(self, request: HttpRequest, obj: Binding, form: Any) -> None:
        wanted = {name: getattr(obj, name) for name in PLAIN}
        self.audit(request, "changed", obj, change_action(obj, wanted, form.settings))

    def get_urls(self) -> list[Any]:
        door = self.admin_site.admin_view
        own = [
            path("kinds/", door(self.kinds_view), name="sinks_kinds"),
            path("<path:object_id>/replay/", door(self.replay_view), name="sinks_binding_replay"),
        ]
        return [*own, *super().get_urls()]

    def kinds_view(self, request: HttpRequest) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return kinds.view(request, context)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        obj = self.get_object(request, object_id)
        more: dict[str, Any] = extra_context or {}
        if obj is not None:
            more |= {"standing": standing(obj), "can_repeat": replay.can_repeat(obj), "fill": walks.filling(obj)}
            more["hints"] = hints.of(obj)
        response = super().change_view(request, object_id, form_url, more)
        verb = _verb(request)
        if obj is None or verb is None or verb not in VERBS or response.status_code != 200:
            return response
        # Whoever wants an action to stop need not mend its settings first.
        self._act(request, obj, verb)
        messages.warning(request, _("What was changed in the form was not saved: it holds errors."))
        return HttpResponseRedirect(reverse("admin:sinks_binding_change", args=[obj.pk]))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """The button "Preview" saves nothing: what it would send is shown, or else what is wrong in the form."""
        if request.method == "POST" and "_preview" in request.POST:
            obj = self.get_object(request, object_id) if object_id else None
            allowed = self.has_change_permission(request, obj) if object_id else self.has_add_permission(request)
            if not allowed or (object_id and obj is None):
                raise PermissionDenied
            form = self.get_form(request, obj, change=obj is not None)(request.POST, instance=obj)
            if form.is_valid():
                return self._preview(request, form)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _preview(self, request: HttpRequest, form: Any) -> HttpResponse:
        action = form.instance
        draft = Draft(action.form, form.kind, form.settings, action.selection, action.pk or 0)
        may_read = access.allowed(self.actor(request), action.form.organization_id, Right.VIEW)
        outcome = previewing.preview(draft, may_read=may_read)
        found = outcome.preview
        table = list(csv.reader(StringIO(found.text))) if found and found.content_type == "text/csv" else []
        context = {
            **self.admin_site.each_context(request),
            "title": _("What would be sent"),
            "opts": self.opts,
            "media": self.media,
            "outcome": outcome,
            "shown": found,
            "head": table[:1],
            "rows": table[1:],
        }
        return TemplateResponse(request, "sinks/admin/preview.html", context)

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks first, with the number. `of=delivered`: what was delivered, in all or by one `delivery`."""
        obj = self.get_object(request, object_id)
        if obj is None or not self.has_view_permission(request, obj):
            raise Http404
        if not self.has_change_permission(request, obj):
            raise PermissionDenied
        asked = OfDelivered(obj, request.GET) if request.GET.get("of") == "delivered" else OfFailed(obj)
        address = reverse("admin:sinks_binding_change", args=[obj.pk])
        if request.method != "POST":
            return confirmation(self, request, asked, address)
        if perform(request, asked):
            self.audit(request, replay.RECORDED, obj, {})
        return HttpResponseRedirect(address)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        verb = _verb(request)
        if verb is None:
            return super().response_change(request, obj)
        if verb == "test":
            self._test(request, obj)
        else:
            self._act(request, obj, verb)
        return HttpResponseRedirect(reverse("admin:sinks_binding_change", args=[obj.pk]))

    @admin.action(description=gettext_lazy("Pause"), permissions=["change"])
    def pause_all(self, request: HttpRequest, queryset: QuerySet[Binding]) -> None:
        for binding in self._changeable(request, queryset):
            self._act(request, binding, "pause")

    @admin.action(description=gettext_lazy("Resume"), permissions=["change"])
    def resume_all(self, request: HttpRequest, queryset: QuerySet[Binding]) -> None:
        for binding in self._changeable(request, queryset):
            self._act(request, binding, "resume")

    @admin.action(description=gettext_lazy("Test the settings"), permissions=["change"])
    def test_all(self, request: HttpRequest, queryset: QuerySet[Binding]) -> None:
        for binding in self._changeable(request, queryset[:10]):
            self._test(request, binding)

    @admin.display(description=gettext_lazy("kind"))
    def kind_label(self, obj: Binding) -> str:
        kind = registry.find(obj.kind)
        return kind.label if kind else _("%(kind)s (not installed)") % {"kind": obj.kind}

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, obj: Binding) -> str:
        state = BindingState(obj.state).label
        return f"{state}: {obj.pause_reason}" if obj.pause_reason else str(state)

    @admin.display(description=gettext_lazy("failed"))
    def failed(self, obj: Any) -> Any:
        """Leads to them."""
        if not obj.failed_count:
            return 0
        address = f"{reverse('admin:sinks_parked_changelist')}?again__exact=0&binding__id__exact={obj.pk}"
        return format_html('<a class="fh-link" href="{}">{}</a>', address, obj.failed_count)

    def _changeable(self, request: HttpRequest, bindings: Iterable[Binding]) -> list[Binding]:
        return [binding for binding in bindings if self.has_change_permission(request, binding)]

    def _act(self, request: HttpRequest, binding: Binding, verb: str) -> None:
        VERBS[verb].act(binding)
        self.audit(request, VERBS[verb].recorded, binding, {})
        self.message_user(request, SAID[verb], messages.SUCCESS)

    def _test(self, request: HttpRequest, binding: Binding) -> None:
        outcome = trial.test(binding)
        text = f"{binding.name}: {outcome.message}"
        self.message_user(request, text, messages.SUCCESS if outcome.works else messages.ERROR)

    def _layout(self, request: HttpRequest, obj: Binding | None) -> Layout | None:
        """The columns to choose from; of a new action if the address names its form."""
        if obj is not None:
            return fitting.layout_of(obj.form_id)
        try:
            asked = UUID(request.GET.get("form", ""))
        except ValueError:
            return None
        theirs = self.choices_for(Binding._meta.get_field("form").related_model, request, None)
        return fitting.layout_of(asked) if theirs.filter(pk=asked).exists() else None

    def _kind(self, request: HttpRequest, obj: Binding | None) -> type[Sink] | None:
        return registry.find(obj.kind if obj else request.GET.get("kind", ""))


def _verb(request: HttpRequest) -> str | None:
    """What a button beside those for saving asks for."""
    return next((name for name in (*VERBS, "test") if f"_{name}" in request.POST), None)


def _choice(kind: type[Sink], query: QueryDict) -> dict[str, str]:
    """A kind to choose, with what the address says already (the form, for one)."""
    query["kind"] = kind.name
    return {"label": kind.label, "description": kind.description, "address": f"?{query.urlencode()}"}
