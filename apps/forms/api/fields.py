"""The rows of a draft: list, make, change, move, delete."""

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.forms import document, fields, rules
from apps.forms.api import openapi
from apps.forms.api.base import FormPartView, touched
from apps.forms.api.serializers import FieldSerializer
from apps.forms.drafts import MisplacedError, Placed, Tree
from apps.forms.models import Field
from apps.orgs import audit
from apps.orgs.api import pages
from apps.orgs.api.base import not_found, refused
from apps.orgs.api.once import changing, creating
from apps.orgs.api.query import wrong

_COLUMNS = ("type", "key", "label", "help", "required", "settings")
_AUDITED = (*_COLUMNS, "parent", "position")


class FieldsView(FormPartView):
    @openapi.list_fields
    def get(self, request: Request, form: str) -> Response:
        """All of them, each after what it lies in: a form holds so few that there is one page."""
        return Response(pages.whole(FieldSerializer(list(Tree(self.form(form))), many=True).data))

    @openapi.create_field
    @creating
    def post(self, request: Request, form: str) -> Response:
        found = self.locked(form)
        sent = self.taken(FieldSerializer)
        tree = Tree(found)
        if len(tree.rows) >= document.MAX_ELEMENTS:
            raise refused(wrong("", "too_many", f"A form can hold {document.MAX_ELEMENTS} fields."))
        row = Field(form=found)
        _fill(row, sent.get("row", {}), tree)
        parent = _parent(tree, sent.get("row", {}).get("parent_id"))
        _check_place(tree, row, parent)
        row.parent = parent
        row.save()
        tree.put(row, parent, sent.get("index"))
        tree.save()
        touched(found)
        changes = audit.differences({}, audit.snapshot(row, _COLUMNS))
        self.audit(found.organization_id, "added", row, changes)
        body = FieldSerializer(Placed(row, tree.index(row))).data
        return Response(body, status=201, headers={"Location": f"{request.path}/{row.pk}"})


class FieldView(FormPartView):
    @openapi.read_field
    def get(self, request: Request, form: str, id: int) -> Response:
        tree = Tree(self.form(form))
        row = _row(tree, id)
        return Response(FieldSerializer(Placed(row, tree.index(row))).data)

    @openapi.change_field
    @changing
    def patch(self, request: Request, form: str, id: int) -> Response:
        found = self.locked(form)
        tree = Tree(found)
        row = _row(tree, id)
        sent = self.taken(FieldSerializer, partial=True)
        before = audit.snapshot(row, _AUDITED)
        members: dict[str, Any] = sent.get("row", {})
        _fill(row, members, tree)
        if "parent_id" in members or "index" in sent:
            parent = _parent(tree, members.get("parent_id", row.parent_id))
            _check_place(tree, row, parent)
            tree.put(row, parent, sent.get("index"))
        row.save()
        tree.save()
        touched(found)
        changes = audit.differences(before, audit.snapshot(row, _AUDITED))
        if changes:
            self.audit(found.organization_id, "changed", row, changes)
        return Response(FieldSerializer(Placed(row, tree.index(row))).data)

    @openapi.delete_field
    @changing
    def delete(self, request: Request, form: str, id: int) -> Response:
        """With all that lies in it."""
        found = self.locked(form)
        row = _row(Tree(found), id)
        self.audit(found.organization_id, "deleted", row)
        row.delete()
        Tree(found).save()
        touched(found)
        return Response(status=204)


def _row(tree: Tree, id: int) -> Field:
    if id not in tree.rows:
        raise not_found("The draft of this form has no such field.")
    return tree.rows[id]


def _parent(tree: Tree, id: int | None) -> Field | None:
    if id is None:
        return None
    if id not in tree.rows:
        raise refused(wrong("parent", "not_found", "The draft of this form has no such field."))
    return tree.rows[id]


def _check_place(tree: Tree, row: Field, parent: Field | None) -> None:
    try:
        tree.check(row, parent)
    except MisplacedError as error:
        raise refused(wrong("parent", "misplaced", str(error))) from None


def _fill(row: Field, sent: Mapping[str, Any], tree: Tree) -> None:
    """The row's own members, checked as the admin checks them. Raises Problem 422 with everything that is wrong."""
    was = row.key or None
    for name in _COLUMNS:
        if name in sent:
            setattr(row, name, sent[name])
    others = {other.key for other in tree.rows.values() if other.pk != row.pk}
    if not row.key:
        row.key = was or rules.free_key(row.label, row.type, others | set(row.form.keys))
    errors = []
    if row.key in others:
        errors.append(wrong("key", "taken", "Another field has this key already."))
    if problem := rules.published_problem(row.form.keys, was, row.key, row.type):
        errors.append(wrong("key", "published", problem))
    errors += [
        wrong(f"settings.{path}".rstrip("."), "invalid", message)
        for path, message in fields.get(row.type).problems(row.settings)
    ]
    errors += _shape(row, tree)
    if errors:
        raise refused(*errors)


def _shape(row: Field, tree: Tree) -> list[dict[str, Any]]:
    """A type that cannot be what the row is."""
    field_type = fields.get(row.type)
    errors = []
    if row.required and not field_type.answerable:
        errors.append(wrong("required", "no_question", "Only questions can be required."))
    if row.pk and not field_type.container and tree.holds_others(row):
        errors.append(wrong("type", "holds_others", "It holds other fields: move them out first."))
    if row.type == "page" and row.parent_id:
        errors.append(wrong("type", "misplaced", "A page stands at the top, inside nothing."))
    return errors
