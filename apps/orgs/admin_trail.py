"""The audit trail in the admin: who did what to which object, and what it was before."""

import json
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin import RelatedOnlyFieldListFilter, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.orgs.admin_base import OrgScopedAdmin
from apps.orgs.models import AuditEntry

SHORT, LONG = 60, 2000
SHOWN_IN_LISTS = 3
ACTIONS = {
    "added": gettext_lazy("added"),
    "changed": gettext_lazy("changed"),
    "deleted": gettext_lazy("deleted"),
    "erased": gettext_lazy("erased"),
    "published": gettext_lazy("published"),
    "imported": gettext_lazy("imported"),
    "restored": gettext_lazy("restored"),
    "paused": gettext_lazy("paused"),
    "resumed": gettext_lazy("resumed"),
    "switched off": gettext_lazy("switched off"),
    "switched on": gettext_lazy("switched on"),
    "replayed": gettext_lazy("tried again"),
    "back-filled": gettext_lazy("back-fill begun"),
    "back-fill paused": gettext_lazy("back-fill paused"),
    "back-fill resumed": gettext_lazy("back-fill resumed"),
    "invited": gettext_lazy("invited"),
    "accepted": gettext_lazy("accepted"),
    "revoked": gettext_lazy("revoked"),
}
KINDS = (
    "forms.form", "forms.field", "sinks.binding", "orgs.organization", "orgs.membership", "orgs.invitation",
    "orgs.apikey", "archive.submission",
)  # fmt: skip


class ActionFilter(SimpleListFilter):
    """By a known list: asking a table of millions which values it holds takes longer than anybody waits."""

    title = gettext_lazy("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(name, str(words)) for name, words in ACTIONS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class KindFilter(SimpleListFilter):
    title = gettext_lazy("kind of object")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(name, kind_label(name)) for name in KINDS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(object_type=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(OrgScopedAdmin):
    add_right = change_right = delete_right = None
    list_display = ("created_at", "who", "what", "kind", "object_label", "brief", "organization")
    list_filter = (ActionFilter, KindFilter, ("organization", RelatedOnlyFieldListFilter))
    list_select_related = ("user", "api_key", "organization")
    search_fields = ("object_label", "object_id", "user__email", "api_key__name")
    search_help_text = gettext_lazy("Search by object or by who did it")
    date_hierarchy = "created_at"
    fields = ("created_at", "who", "what", "kind", "object", "shown", "organization")
    readonly_fields = ("who", "what", "kind", "object", "shown")

    class Media:
        css = {"all": ("orgs/admin.css",)}

    @admin.display(description=gettext_lazy("who"))
    def who(self, obj: AuditEntry) -> str:
        return str(obj.user or obj.api_key or _("the system"))

    @admin.display(description=gettext_lazy("action"), ordering="action")
    def what(self, obj: AuditEntry) -> str:
        return str(ACTIONS.get(obj.action, obj.action))

    @admin.display(description=gettext_lazy("kind of object"), ordering="object_type")
    def kind(self, obj: AuditEntry) -> str:
        return kind_label(obj.object_type)

    @admin.display(description=gettext_lazy("changes"))
    def brief(self, obj: AuditEntry) -> str:
        found = [f"{name}: {_value(pair, 0, SHORT)} → {_value(pair, 1, SHORT)}" for name, pair in obj.changes.items()]
        more = len(found) - SHOWN_IN_LISTS
        return "; ".join(found[:SHOWN_IN_LISTS]) + (_(" and %(count)d more") % {"count": more} if more > 0 else "")

    @admin.display(description=gettext_lazy("object"))
    def object(self, obj: AuditEntry) -> Any:
        """With the way to it, where there is one: it may be gone, and opening it checks all rights anew."""
        label = obj.object_label or obj.object_id
        try:
            address = reverse(f"admin:{obj.object_type.replace('.', '_')}_change", args=[obj.object_id])
        except NoReverseMatch:
            return label
        if obj.action in ("deleted", "erased"):
            return label
        return format_html('<a class="fh-link" href="{}">{}</a>', address, label)

    @admin.display(description=gettext_lazy("changes"))
    def shown(self, obj: AuditEntry) -> Any:
        if not obj.changes:
            return _("None recorded.")
        rows = ((name, _value(pair, 0, LONG), _value(pair, 1, LONG)) for name, pair in obj.changes.items())
        cells = mark_safe("<tr><th scope='row'>{}</th><td>{}</td><td>{}</td></tr>")
        return format_html(
            '<div class="fh-scroll"><table class="fh-changes"><thead><tr><th scope="col">{}</th><th scope="col">{}</th>'
            '<th scope="col">{}</th></tr></thead><tbody>{}</tbody></table></div>',
            _("What"), _("Before"), _("After"), format_html_join("", cells, rows),
        )  # fmt: skip


def kind_label(name: str) -> str:
    try:
        return str(apps.get_model(name)._meta.verbose_name)
    except (LookupError, ValueError):
        return name


def _value(pair: Any, index: int, limit: int) -> str:
    value = pair[index] if isinstance(pair, list) and len(pair) > index else None
    if value in (None, "", [], {}):
        return "-"
    words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return words if len(words) <= limit else f"{words[:limit]}…"
