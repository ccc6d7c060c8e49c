"""Records of the log that could not be read, for operators: why and where, never what they hold."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Length
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _

from apps.archive.admin.lists import DeepList
from apps.archive.models import UnreadRecord
from apps.orgs.theme import ModelAdmin


@admin.register(UnreadRecord)
class UnreadRecordAdmin(ModelAdmin):  # type: ignore[type-arg]
    """A record that nobody could read has no owner: only who runs the installation sees that it is there."""

    change_list_template = "archive/admin/unread.html"
    actions = None
    list_per_page = 50
    show_full_result_count = False
    list_display = ("created_at", "code", "reason", "topic", "partition", "offset", "size")
    sortable_by = ()
    search_fields = ("code",)
    search_help_text = _("Search by code or offset")
    fields = ("created_at", "code", "reason", "topic", "topic_id", "partition", "offset", "size")
    readonly_fields = fields

    class Media:
        css: ClassVar[Any] = {"all": ("forms/admin.css", "archive/admin.css")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        sized: QuerySet[Any] = rows.annotate(bytes=Length("value")).defer("key", "value", "headers")
        return sized

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        if not search_term:
            return queryset, False
        wanted = Q(code=search_term)
        if search_term.isascii() and search_term.isdigit() and len(search_term) < 19:
            wanted |= Q(offset=int(search_term))
        return queryset.filter(wanted), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return DeepList

    @admin.display(description=_("size"))
    def size(self, obj: Any) -> str:
        return filesizeformat(obj.bytes)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        user = request.user
        return user.is_active and bool(getattr(user, "is_superuser", False))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
