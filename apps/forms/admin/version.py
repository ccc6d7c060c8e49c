import json
from typing import Any

from django.contrib import admin
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from apps.forms.models import FormVersion
from apps.orgs.admin_base import OrgScopedAdmin


@admin.register(FormVersion)
class FormVersionAdmin(OrgScopedAdmin):
    """Versions are looked at; publishing makes them and nothing changes them."""

    organization_path = "form__organization"
    add_right = None
    change_right = None
    delete_right = None
    list_display = ("form", "number", "is_live", "questions", "published_at", "published_by")
    list_filter = (("form", RelatedOnlyFieldListFilter),)
    list_select_related = ("form__live", "published_by")
    search_fields = ("form__title",)
    search_help_text = _("Search by the form's title")
    fields = ("form", "number", "is_live", "published_at", "published_by", "questions", "document", "answers")
    readonly_fields = ("is_live", "questions", "document", "answers")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False  # reached from a form's page

    @admin.display(description=_("live"), boolean=True)
    def is_live(self, obj: FormVersion) -> bool:
        return obj.form.live_id == obj.pk

    @admin.display(description=_("questions"))
    def questions(self, obj: FormVersion) -> int:
        return len(obj.layout)

    @admin.display(description=_("definition"))
    def document(self, obj: FormVersion) -> Any:
        return _pretty(obj.definition)

    @admin.display(description=_("schema of its answers"))
    def answers(self, obj: FormVersion) -> Any:
        return _pretty(obj.schema)


def _pretty(value: Any) -> Any:
    return format_html('<pre class="document">{}</pre>', json.dumps(value, ensure_ascii=False, indent=2))
