"""Deliveries: what one call carried, and how it ended."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.orgs import access
from apps.orgs.access import Right
from apps.sinks import replay
from apps.sinks.admin.lists import LongListAdmin, as_uuid
from apps.sinks.models import Batch, BatchItem, BatchState, Binding, FormerItem
from apps.sinks.queries import carried_by, contents
from apps.sinks.registry import label_of

ITEMS_SHOWN = 100
KEY_SHOWN = 24


@admin.register(Batch)
class DeliveryAdmin(LongListAdmin):
    list_display = ("created_at", "kind", "where", "state", "size", "attempts", "finished_at", "trouble")
    list_filter = ("state",)
    list_select_related = ("destination",)
    ordering = ("-created_at",)
    search_fields = ("id",)
    search_help_text = gettext_lazy("Search by the id of a submission or of a delivery")
    fields = (
        "kind", "where", "state", "size", "came_late", "attempts", "troubles", "last_error",
        "created_at", "offered_at", "finished_at", "submissions",
    )  # fmt: skip
    readonly_fields = fields
    change_form_template = "sinks/admin/delivery.html"
    empty_text = gettext_lazy("Submissions are delivered in batches: each call to a service is listed here.")

    class Media:
        css = {"all": ("forms/admin.css",)}

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """With a button for each of its actions that may deliver once more what it delivered."""
        obj = self.get_object(request, object_id)
        more: dict[str, Any] = extra_context or {}
        if obj is not None and obj.state == BatchState.DELIVERED and self.permitted(request, Right.EDIT, obj):
            bindings = Binding.objects.filter(pk__in=obj.items.values("binding")).order_by("pk")
            more["repeatable"] = [binding for binding in bindings if replay.can_repeat(binding)]
        return super().change_view(request, object_id, form_url, more)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        if not search_term:
            return queryset, False
        wanted = as_uuid(search_term)
        if wanted is None:
            return queryset.none(), False
        bindings = access.scoped(Binding.objects.all(), self.actor(request)).values("pk")
        return queryset.filter(carried_by([wanted], bindings)) | queryset.filter(pk=wanted), False

    @admin.display(description=gettext_lazy("kind"))
    def kind(self, obj: Batch) -> str:
        return label_of(obj.destination.kind)

    @admin.display(description=gettext_lazy("destination"))
    def where(self, obj: Batch) -> Any:
        """Ids and addresses are long: so much of one as tells it apart, the whole on hover."""
        key = obj.destination.key
        if len(key) <= KEY_SHOWN:
            return key
        return format_html('<span title="{}">{}…</span>', key[:500], key[:KEY_SHOWN])

    @admin.display(description=gettext_lazy("late"))
    def came_late(self, obj: Batch) -> str:
        return _("Yes: tried again, or filled in afterwards") if obj.late else _("No")

    @admin.display(description=gettext_lazy("attempts that failed"))
    def troubles(self, obj: Batch) -> Any:
        """When each of the newest was made, and the code it ended with."""
        rows = [(attempt.get("at", ""), attempt.get("code", "")) for attempt in obj.tries]
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: {}</li>", rows)) if rows else ""

    @admin.display(description=gettext_lazy("trouble"))
    def trouble(self, obj: Batch) -> str:
        return obj.last_error[:120]

    @admin.display(description=gettext_lazy("submissions"))
    def submissions(self, obj: Batch) -> Any:
        rows = [
            (item.binding.name, item.submission_id, _("(delivered once more since)") if _is_former(item) else "")
            for item in contents(obj, ITEMS_SHOWN)
        ]
        shown = format_html_join("", "<li>{}: {} {}</li>", rows)
        more = _("and %(count)s more") % {"count": obj.size - len(rows)} if obj.size > len(rows) else ""
        return format_html("<ul>{}</ul>{}", shown, more)


def _is_former(item: BatchItem | FormerItem) -> bool:
    return isinstance(item, FormerItem)
