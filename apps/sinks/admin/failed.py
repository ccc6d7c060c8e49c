"""Submissions that could not be delivered, why, and the way to try them again."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.orgs import access, audit
from apps.orgs.access import Right
from apps.sinks import replay
from apps.sinks.admin.lists import LongListAdmin, as_uuid
from apps.sinks.admin.replaying import OfFailed, confirmation, perform
from apps.sinks.models import Binding, Parked

MESSAGE_SHOWN = 60
CODES_FROM = 1000  # of the newest rows: a list of all codes would read every row there is


class CodeFilter(admin.SimpleListFilter):
    title = gettext_lazy("code")
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = model_admin.get_queryset(request).order_by("-parked_at")
        return [(code, code) for code in sorted(set(rows.values_list("code", flat=True)[:CODES_FROM]))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(code=self.value()) if self.value() else queryset


@admin.register(Parked)
class FailedAdmin(LongListAdmin):
    list_display = ("parked_at", "action_name", "submission", "code", "trouble", "attempts", "asked")
    list_filter = (
        "again",
        ("binding__form", RelatedOnlyFieldListFilter),
        ("binding", RelatedOnlyFieldListFilter),
        CodeFilter,
        "parked_at",
    )
    list_select_related = ("binding",)
    ordering = ("-parked_at",)
    search_fields = ("submission_id",)
    search_help_text = gettext_lazy("Search by the id of a submission")
    actions = ("try_again",)
    empty_text = gettext_lazy("What could not be delivered is kept here with its reason, until it is tried again.")
    fields = ("action_name", "submission", "code", "message", "attempts", "asked", "parked_at")
    readonly_fields = fields

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        if not search_term:
            return queryset, False
        return queryset.filter(submission_id=as_uuid(search_term)), False

    @admin.display(description=gettext_lazy("action"), ordering="binding")
    def action_name(self, obj: Parked) -> str:
        return obj.binding.name

    @admin.display(description=gettext_lazy("submission"))
    def submission(self, obj: Parked) -> str:
        return str(obj.submission_id)

    @admin.display(description=gettext_lazy("message"))
    def trouble(self, obj: Parked) -> Any:
        """Two lines on a phone; the whole on hover, and on the row's own page."""
        if len(obj.message) <= MESSAGE_SHOWN:
            return obj.message
        return format_html('<span title="{}">{}…</span>', obj.message[:500], obj.message[:MESSAGE_SHOWN])

    @admin.display(description=gettext_lazy("will be tried again"))
    def asked(self, obj: Parked) -> str:
        return _("Yes") if obj.again else _("No")

    def has_try_again_permission(self, request: HttpRequest) -> bool:
        return self.permitted(request, Right.EDIT)

    @admin.action(description=gettext_lazy("Try again"), permissions=["try_again"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Parked]) -> HttpResponse | None:
        who = self.actor(request)
        rows = access.scoped(queryset, who, Right.EDIT, self.organization_path)
        asked = OfFailed(rows=Parked.objects.filter(pk__in=rows.order_by().values("pk")))
        if request.POST.get("post") != "yes":
            again = {
                "action": ["try_again"],
                ACTION_CHECKBOX_NAME: request.POST.getlist(ACTION_CHECKBOX_NAME),
                "select_across": [request.POST.get("select_across", "0")],
            }
            return confirmation(self, request, asked, request.get_full_path(), again)
        chosen = asked.rows.order_by()
        bindings = list(Binding.objects.filter(Exists(chosen.filter(binding=OuterRef("pk")))).order_by("pk"))
        if perform(request, asked):
            for binding in bindings:
                audit.record(who, binding.organization_id, replay.RECORDED, binding)
        return None
