"""What the views of a form's parts share."""

from typing import Any

from apps.forms.document import Problem as Found
from apps.forms.models import Form
from apps.orgs.api.base import ManageView
from apps.orgs.api.query import wrong
from formhub.core.problem import VALUES_REFUSED, Problem


class FormPartView(ManageView):
    for_bound_keys = True

    def locked(self, name: str) -> Form:
        """The form, held until the change is done: whoever else changes it waits."""
        form = self.form(name)
        held: Form = Form.objects.select_for_update().get(pk=form.pk)
        held.organization = form.organization
        return held


def definition_refused(problems: list[Found], detail: str, rows: Any = None) -> Problem:
    """422: each problem at its path in the definition, with the id of the row that is meant if there is one."""
    errors = [wrong(found.path, "invalid", found.message, **row_of(found.path, rows)) for found in problems]
    return Problem(422, "definition_refused", detail, errors=errors, title=VALUES_REFUSED)


def row_of(path: str, rows: Any) -> dict[str, Any]:
    id = row_id(path, rows or {})
    return {} if id is None else {"field": id}


def row_id(path: str, rows: Any) -> int | None:
    """The row that a path in the definition belongs to."""
    while path and path not in rows:
        path = path.rpartition(".")[0]
    found: int | None = rows.get(path)
    return found


def touched(form: Form) -> None:
    form.save(update_fields=["updated_at"])
