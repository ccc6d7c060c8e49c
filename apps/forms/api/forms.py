"""Forms: list, make, get, change, delete."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import IntegrityError, transaction
from rest_framework.request import Request
from rest_framework.response import Response

from apps.forms import rules, submissions
from apps.forms.api import openapi
from apps.forms.api.base import FormPartView
from apps.forms.api.serializers import FormSerializer, NewFormSerializer
from apps.forms.models import Form
from apps.orgs import access, audit
from apps.orgs.api import query
from apps.orgs.api.base import ManageView, refused
from apps.orgs.api.once import changing, creating
from apps.orgs.api.pages import NEWEST, page
from apps.orgs.api.query import Filter, one_of, wrong
from formhub.core.problem import Problem

FILTERS = {
    "organization": Filter("organization", query.uuid, "An organization's id.", {"type": "string", "format": "uuid"}),
    "published": Filter(
        "live__isnull",
        lambda text: one_of("yes", "no")(text) == "no",
        "yes: with a published version; no: drafts only.",
        {"type": "string", "enum": ["yes", "no"]},
    ),
    "search": Filter("title__icontains", description="A part of the title."),
}
_COLUMNS = ("title", "slug", "region", "key_required", "allowed_origins", "closed_at", "closed_text")
_AUDITED = (*_COLUMNS, "default_language", "settings", "rates")


class FormsView(ManageView):
    for_bound_keys = True
    parameters = None

    @openapi.list_forms(FILTERS)
    def get(self, request: Request) -> Response:
        rows = access.scoped(Form.objects.select_related("live"), self.who)
        if self.who.only_form is not None:
            rows = rows.filter(pk=self.who.only_form)
        return Response(page(request, rows, _rendered, NEWEST, FILTERS))

    @openapi.create_form
    @creating
    def post(self, request: Request) -> Response:
        if self.who.only_form is not None:
            raise Problem(403, "key_not_allowed", "This API key is bound to one form.")
        sent = self.taken(NewFormSerializer)
        form = Form(organization=self.organization(sent.pop("organization", None)))
        sent.setdefault("slug", rules.free_slug(form.organization_id, sent["title"]))
        _fill(form, sent)
        _save(form)
        changes = audit.differences({}, audit.snapshot(form, sent))
        self.audit(form.organization_id, "added", form, changes)
        body = FormSerializer(form).data
        return Response(body, status=201, headers={"Location": f"{request.path}/{form.public_id}"})


class FormView(FormPartView):
    changes_with: ClassVar[Mapping[str, tuple[str, ...]]] = {"DELETE": ("submissions",)}

    @openapi.read_form
    def get(self, request: Request, form: str) -> Response:
        return Response(FormSerializer(self.form(form)).data)

    @openapi.change_form
    @changing
    def patch(self, request: Request, form: str) -> Response:
        found = self.locked(form)
        sent = self.taken(FormSerializer, partial=True)
        before = audit.snapshot(found, _AUDITED)
        _fill(found, sent)
        _save(found)
        changes = audit.differences(before, audit.snapshot(found, _AUDITED))
        if changes:
            self.audit(found.organization_id, "changed", found, changes)
        return Response(FormSerializer(found).data)

    @openapi.delete_form
    @changing
    def delete(self, request: Request, form: str) -> Response:
        found = self.locked(form)
        if found.live_id is not None and not found.closed:
            # What the admin asks for on a page of its own: nobody deletes a form that still takes answers.
            raise Problem(409, "form_open", "The form still takes answers: close it first, by closed_at.")
        held = submissions.count(found.pk)
        if held and request.query_params.get("submissions") != "erase":
            raise Problem(
                409,
                "form_has_submissions",
                f"The form's submissions ({held}) are erased with it, for good. If that is meant, say so: "
                "?submissions=erase",
            )
        self.audit(found.organization_id, "deleted", found, {"submissions": [held, 0]} if held else None)
        found.delete()
        return Response(status=204)


def _rendered(forms: list[Form]) -> Any:
    return FormSerializer(forms, many=True).data


def _fill(form: Form, sent: Mapping[str, Any]) -> None:
    for name in _COLUMNS:
        if name in sent:
            setattr(form, name, sent[name])
    if "languages" in sent:
        form.default_language, *more = sent["languages"]
        form.settings = {**form.settings, "languages": more}
    if "ending" in sent:
        ending = sent["ending"]
        given = {name: words for name, words in (ending or {}).items() if words}
        form.settings = {**form.settings, "endings": [{"key": "thanks", **given}] if given else []}
    if "limits" in sent:
        form.rates = {name: rate for name, rate in {**form.rates, **sent["limits"]}.items() if rate}


def _save(form: Form) -> None:
    try:
        with transaction.atomic():
            form.save()
    except IntegrityError:
        error = wrong("slug", "taken", "Another form of the organization has this short name; take another.")
        raise refused(error) from None
