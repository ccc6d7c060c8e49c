"""From the draft to a version, and back: publish, definition, versions, their differences."""

from dataclasses import asdict
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.forms import definition, diff
from apps.forms.api import openapi
from apps.forms.api.base import FormPartView, definition_refused, row_id
from apps.forms.api.serializers import VersionDetailSerializer, VersionSerializer
from apps.forms.definition import DefinitionRefused, PublishRefused
from apps.forms.models import Form, FormVersion
from apps.orgs.api import query
from apps.orgs.api.base import not_found
from apps.orgs.api.once import changing, creating
from apps.orgs.api.pages import Order, page
from apps.orgs.api.query import refuse, value_of

DRAFT = "draft"


class PublishView(FormPartView):
    @openapi.review_draft
    def get(self, request: Request, form: str) -> Response:
        found = self.form(form)
        draft = definition.draft(found)
        problems = draft.problems(found.keys)
        before = found.live.definition if found.live else _nothing(draft.document)
        changed = found.live is None or found.live.definition != draft.document
        return Response(
            {
                "publishable": not problems,
                "changed": changed,
                "problems": [
                    {"path": problem.path, "field": row_id(problem.path, draft.rows), "message": problem.message}
                    for problem in problems
                ],
                "changes": _changes(before, draft.document),
            }
        )

    @openapi.publish_form
    @creating
    def post(self, request: Request, form: str) -> Response:
        self.nothing_sent()
        found = self.locked(form)
        before = found.live_id
        try:
            version = definition.publish(found, self.who.user)
        except PublishRefused as refused:
            rows = definition.draft(found).rows
            raise definition_refused(refused.problems, "The draft cannot be published as it is.", rows) from None
        if version.pk != before:
            self.audit(found.organization_id, "published", found, {"version": [None, version.number]})
        version.form = found
        return Response(VersionSerializer(version).data)


class DefinitionView(FormPartView):
    @openapi.read_definition
    def get(self, request: Request, form: str) -> Response:
        return Response(definition.draft(self.form(form)).document)

    @openapi.replace_definition
    @changing
    def put(self, request: Request, form: str) -> Response:
        found = self.locked(form)
        _load(found, request.data)
        self.audit(found.organization_id, "imported", found)
        return Response(definition.draft(found).document)


class VersionsView(FormPartView):
    parameters = None

    @openapi.list_versions
    def get(self, request: Request, form: str) -> Response:
        found = self.form(form)
        rows = FormVersion.objects.filter(form=found).select_related("form", "published_by")
        rows = rows.defer("definition", "schema", "retired")
        render = VersionSerializer
        return Response(page(request, rows, lambda rows: render(rows, many=True).data, Order(("number",))))


class VersionView(FormPartView):
    @openapi.read_version
    def get(self, request: Request, form: str, number: int) -> Response:
        return Response(VersionDetailSerializer(_version(self.form(form), number)).data)


class DiffView(FormPartView):
    parameters = ("from",)

    @openapi.compare_versions
    def get(self, request: Request, form: str, number: int) -> Response:
        found = self.form(form)
        errors: list[dict[str, Any]] = []
        other = value_of(request.query_params, "from", _name, errors)
        refuse(errors)
        after = _version(found, number).definition
        other = other or (str(number - 1) if number > 1 else "0")
        return Response(
            {"before": other, "after": str(number), "changes": _changes(_named(found, other, after), after)}
        )


class RestoreView(FormPartView):
    @openapi.restore_version
    @changing
    def post(self, request: Request, form: str, number: int) -> Response:
        self.nothing_sent()
        found = self.locked(form)
        version = _version(found, number)
        _load(found, version.definition)
        self.audit(found.organization_id, "restored", found, {"version": [None, version.number]})
        return Response(definition.draft(found).document)


def _load(form: Form, body: Any) -> None:
    try:
        definition.load(form, body)
    except DefinitionRefused as refused:
        detail = "This is no definition of the format formhub/1."
        raise definition_refused(refused.problems, detail) from None


def _version(form: Form, number: int) -> FormVersion:
    rows = FormVersion.objects.filter(form=form, number=number).select_related("form", "published_by")
    version = rows.first()
    if version is None:
        raise not_found("This form has no such version.")
    return version


def _name(text: str) -> str:
    return text if text == DRAFT else str(query.whole(text))


def _named(form: Form, name: str, after: dict[str, Any]) -> dict[str, Any]:
    if name == DRAFT:
        return definition.draft(form).document
    return _nothing(after) if name == "0" else _version(form, int(name)).definition


def _nothing(like: dict[str, Any]) -> dict[str, Any]:
    """Before the first version: a form that asks nothing."""
    return {**like, "pages": [], "endings": []}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    return [asdict(change) for change in diff.changes(before, after)]
