"""Submissions that could not be delivered, why, and the way to try them again."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy, ngettext

from apps.orgs import access, audit
from apps.orgs.access import Right
from apps.sinks import actions
from apps.sinks.admin.lists import LongListAdmin, as_uuid
from apps.sinks.models import Parked


@admin.register(Parked)
class FailedAdmin(LongListAdmin):
    list_display = ("parked_at", "binding", "submission_id", "code", "message", "attempts", "again")
    list_filter = ("again", ("binding", RelatedOnlyFieldListFilter))
    list_select_related = ("binding",)
    ordering = ("-parked_at",)
    search_fields = ("submission_id",)
    search_help_text = gettext_lazy("Search by the id of a submission")
    actions = ("try_again",)
    fields = ("binding", "submission_id", "code", "message", "attempts", "again", "parked_at")
    readonly_fields = fields

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        if not search_term:
            return queryset, False
        return queryset.filter(submission_id=as_uuid(search_term)), False

    def has_try_again_permission(self, request: HttpRequest) -> bool:
        return self.permitted(request, Right.EDIT)

    @admin.action(description=gettext_lazy("Try again"), permissions=["try_again"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Parked]) -> None:
        who = self.actor(request)
        rows = list(access.scoped(queryset, who, Right.EDIT, self.organization_path).select_related("binding"))
        count = actions.try_again(rows)
        for binding in {row.binding_id: row.binding for row in rows}.values():
            audit.record(who, binding.organization_id, "tried again", binding)
        text = ngettext(
            "%(count)d submission will be tried again.", "%(count)d submissions will be tried again.", count
        )
        self.message_user(request, text % {"count": count}, messages.SUCCESS)
