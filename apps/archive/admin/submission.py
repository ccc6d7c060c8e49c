"""Submissions in the admin, form by form: a list over all forms would have no index to go by."""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.db.models.fields.json import KeyTransform
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.formats import date_format, time_format
from django.utils.text import Truncator
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.archive import queries, readable
from apps.archive.admin.lists import DeepList
from apps.archive.models import FormCounter, Submission
from apps.orgs import access
from apps.orgs.access import Right
from apps.orgs.admin_base import OrgScopedAdmin
from formhub.core.layout import Column

FORMS_OFFERED = 50
ANSWERS_SHOWN = 4
ANSWER_CHARACTERS = 60
LABEL_CHARACTERS = 30
FORM = "form"  # the parameter that names one
JOINT = "~"  # an address names form and submission: only together they are a key


class SubmissionList(DeepList):
    """The submissions of the form in the address, or those with the id that is searched for, in every form."""

    model_admin: "SubmissionAdmin"
    place = "position"

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name != FORM}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        if not self.query:
            chosen = self.model_admin.chosen(request)
            rows = rows.none() if chosen is None else rows.filter(form_id=chosen)
        keys = [column.key for column in self.model_admin.columns(request)]
        answers = {f"answer_{number}": KeyTransform(key, "answers") for number, key in enumerate(keys)}
        # Of answers that may be a megabyte only those that are shown are read.
        light: QuerySet[Any] = rows.annotate(**answers).defer("answers", "meta")
        return light

    def url_for_result(self, result: Any) -> str:
        return reverse("admin:archive_submission_change", args=[quote(address_of(result))])


@admin.register(Submission)
class SubmissionAdmin(OrgScopedAdmin):
    """Rows that the log brought: nobody adds, changes or deletes one here."""

    organization_path = "organization_id"
    add_right = None
    change_right = None
    delete_right = None
    actions = None
    change_list_template = "archive/admin/submissions.html"
    change_form_template = "archive/admin/submission.html"
    sortable_by = ()
    search_fields = ("id",)
    search_help_text = gettext_lazy("Search by the id of a submission")

    class Media:
        css: ClassVar[Any] = {"all": ("forms/admin.css", "archive/admin.css")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        found = list(access.organizations(self.actor(request)).values_list("pk", flat=True)[:2])
        # Said as a plain value, the one organization leaves the order to the index of the form.
        return rows.filter(organization_id=found[0]) if len(found) == 1 else rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return SubmissionList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Without a form or an id the list is that of the form that was answered last."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        forms, chosen = self.answered(request), self.chosen(request)
        if forms and not request.GET.get(FORM) and not request.GET.get(SEARCH_VAR):
            return HttpResponseRedirect(f"{request.path}?{FORM}={next(iter(forms))}")
        if chosen is not None and chosen not in forms:
            forms |= self.titles(self.forms(request).filter(pk=chosen))
        context = {"forms": forms, "chosen": chosen, "total": queries.count(chosen) if chosen else 0}
        return super().changelist_view(request, context | (extra_context or {}))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return False  # a column in the address would be looked through row by row

    def get_list_select_related(self, request: HttpRequest) -> Any:
        return ("form",) if request.GET.get(SEARCH_VAR) else ()

    def get_list_display(self, request: HttpRequest) -> Any:
        if request.GET.get(SEARCH_VAR):
            return ("accepted", "form", "id", "kept_as")
        answers = [_shown(number, column) for number, column in enumerate(self.columns(request))]
        return ("accepted", *answers, "kept_as")

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        if not search_term:
            return queryset, False
        return self._with_id(request, queryset, as_uuid(search_term)), False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """By form and id, or by the id alone."""
        form, joint, id = object_id.rpartition(JOINT)
        rows = self.get_queryset(request).select_related("form")
        if joint:
            return rows.filter(form_id=as_uuid(form), id=as_uuid(id)).first()
        return self._with_id(request, rows, as_uuid(id)).first()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return []  # the page shows a submission by its own template

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        submission = kwargs["obj"]
        context["may_erase"] = self.permitted(request, Right.EDIT, submission)
        context["results"] = readable.results(submission.form_id, submission.pk)
        context["answers"] = readable.answers(submission.form_id, submission.answers)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=gettext_lazy("accepted"))
    def accepted(self, obj: Submission) -> str:
        at = localtime(obj.accepted_at)
        return f"{date_format(at, 'DATE_FORMAT')}, {time_format(at, 'H:i:s')}"

    @admin.display(description=gettext_lazy("version"))
    def kept_as(self, obj: Submission) -> str:
        return _("%(number)d, came late") % {"number": obj.version} if obj.late else str(obj.version)

    def forms(self, request: HttpRequest) -> QuerySet[Any]:
        return self.choices_for(Submission._meta.get_field("form").related_model, request, None)

    def answered(self, request: HttpRequest) -> dict[UUID, str]:
        """Titles of the caller's forms by id, the one that was answered last first."""
        counters = FormCounter.objects.filter(form_id__in=self.forms(request).values("pk"))
        newest = list(counters.order_by("-last_at").values_list("form_id", flat=True)[:FORMS_OFFERED])
        titles = self.titles(self.forms(request).filter(pk__in=newest))
        return {id: titles[id] for id in newest if id in titles}

    def titles(self, forms: QuerySet[Any]) -> dict[UUID, str]:
        return dict(forms.values_list("pk", "title"))

    def columns(self, request: HttpRequest) -> list[Column]:
        """Of the answers that the list shows: the first of the chosen form."""
        chosen = None if request.GET.get(SEARCH_VAR) else self.chosen(request)
        return readable.columns(chosen)[:ANSWERS_SHOWN] if chosen is not None else []

    def chosen(self, request: HttpRequest) -> UUID | None:
        """The form in the address, if it is the caller's; looked up once a request."""
        if not hasattr(request, "archive_form"):
            wanted = as_uuid(request.GET.get(FORM))
            theirs = wanted is not None and self.forms(request).filter(pk=wanted).exists()
            request.archive_form = wanted if theirs else None  # type: ignore[attr-defined]
        chosen: UUID | None = request.archive_form  # type: ignore[attr-defined]
        return chosen

    def _with_id(self, request: HttpRequest, rows: QuerySet[Any], id: UUID | None) -> QuerySet[Any]:
        """One look into the index for each of the caller's forms."""
        return rows.none() if id is None else rows.filter(form_id__in=self.forms(request).values("pk"), id=id)


def address_of(submission: Submission) -> str:
    return f"{submission.form_id}{JOINT}{submission.pk}"


def as_uuid(text: str | None) -> UUID | None:
    try:
        return UUID((text or "").strip())
    except ValueError:
        return None


def _shown(number: int, column: Column) -> Callable[[Submission], str]:
    @admin.display(description=Truncator(column.label).chars(LABEL_CHARACTERS))
    def answer(submission: Submission) -> str:
        cell = column.cell(getattr(submission, f"answer_{number}"))
        return Truncator(readable.text(cell)).chars(ANSWER_CHARACTERS)

    return answer
