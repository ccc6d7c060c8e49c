"""Addresses that are not written to: because somebody wanted it so, or because they are entered here."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from apps.orgs.admin_base import OrgScopedAdmin
from apps.sinks import suppression
from apps.sinks.models import Suppression


class SuppressionForm(ModelForm[Suppression]):
    class Meta:
        model = Suppression
        fields = ("organization", "address")

    def clean_address(self) -> str:
        return suppression.normal(self.cleaned_data["address"])


@admin.register(Suppression)
class SuppressionAdmin(OrgScopedAdmin):
    form = SuppressionForm
    change_right = None  # another address is another row
    list_display = ("address", "organization", "reason", "created_at")
    list_filter = ("reason", ("organization", RelatedOnlyFieldListFilter))
    list_select_related = ("organization",)
    ordering = ("-created_at",)
    search_fields = ("address",)
    search_help_text = gettext_lazy("Search by e-mail address")
    empty_text = gettext_lazy("Who wants no more mails about forms stands here; no action writes to them.")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("organization", "address", "reason", "created_at") if obj else ("organization", "address")

    def audit(self, request: HttpRequest, action: str, obj: Model, changes: dict[str, Any]) -> None:
        """Who did it, not to whom: the trail keeps what it is given, and somebody here wants to be left alone."""
        super().audit(request, action, obj, {})

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        return super().get_search_results(request, queryset, suppression.normal(search_term))
