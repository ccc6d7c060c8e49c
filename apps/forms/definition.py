"""Draft rows <-> definition document, and publishing: from the draft to an immutable, numbered version."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.forms import document, fields, schema
from apps.forms.document import DefinitionRefused, Problem
from apps.forms.models import Field, Form, FormVersion


class PublishRefused(DefinitionRefused):
    """The draft cannot be published as it is; `problems` says why, each at its path in the definition."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A form's draft as a document.

    `rows` maps the path of each member to its row's id (a page that is only implied has none). `astray` are rows that
    hang on no page: those inside each other in a circle.
    """

    document: dict[str, Any]
    rows: Mapping[str, int]
    astray: tuple[str, ...] = ()

    def problems(self, keys: Mapping[str, str]) -> list[Problem]:
        """Everything that stands in the way of publishing; `keys` are those published so far, with their types."""
        found = document.problems(self.document, keys)
        if self.astray:
            names = ", ".join(self.astray)
            found.append(Problem("pages", _("These fields lie inside each other: %(names)s.") % {"names": names}))
        return found


# Rows to document


def draft(form: Form) -> Draft:
    rows = list(form.fields.order_by("position", "id"))
    children: dict[int | None, list[Field]] = {}
    for row in rows:
        children.setdefault(row.parent_id, []).append(row)
    places: dict[str, int] = {}
    pages = [_page(number, page, members, children, places) for number, (page, members) in enumerate(_pages(children))]
    if pages and "key" not in pages[0]:
        pages[0] = {"key": _free_key({row.key for row in rows}), **pages[0]}
    body = {
        "format": document.FORMAT,
        "title": form.title,
        "languages": [form.default_language, *form.settings.get("languages", [])],
        "pages": pages,
        "endings": form.settings.get("endings", []),
        "settings": {},
    }
    placed = set(places.values())
    return Draft(body, places, tuple(row.key or str(row.pk) for row in rows if row.pk not in placed))


def _pages(children: Mapping[int | None, list[Field]]) -> Iterator[tuple[Field | None, list[Field]]]:
    """Each page with what it holds: first its own rows, then the rows without a parent that follow it."""
    page: Field | None = None
    held: list[Field] = []
    for row in children.get(None, []):
        if row.type != "page":
            held.append(row)
            continue
        if page is not None or held:
            yield page, held
        page, held = row, list(children.get(row.pk, []))
    if page is not None or held:
        yield page, held


def _page(
    number: int,
    page: Field | None,
    members: list[Field],
    children: Mapping[int | None, list[Field]],
    places: dict[str, int],
) -> dict[str, Any]:
    path = f"pages[{number}]"
    body: dict[str, Any] = {}
    if page is not None:
        places[path] = page.pk
        body = {"key": page.key} | _given(title=page.label, help=page.help)
        body |= _given(required=page.required, settings=page.settings)  # refused by name, never dropped
    body["elements"] = _elements(members, children, path, places)
    return body


def _elements(
    members: list[Field], children: Mapping[int | None, list[Field]], path: str, places: dict[str, int]
) -> list[dict[str, Any]]:
    elements = []
    for number, row in enumerate(members):
        here = f"{path}.elements[{number}]"
        places[here] = row.pk
        element: dict[str, Any] = {"type": row.type, "key": row.key}
        element |= _given(label=row.label, help=row.help, required=row.required, settings=row.settings)
        if row.pk in children:
            element["elements"] = _elements(children[row.pk], children, here, places)
        elements.append(element)
    return elements


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}


def _free_key(taken: set[str]) -> str:
    return next(key for number in range(1, len(taken) + 2) if (key := f"p{number}") not in taken)


# Document to rows


@transaction.atomic
def load(form: Form, body: Any) -> None:
    """Replace the draft by the document's content. The title, languages and endings become the document's.

    What would only stand in the way of publishing may be loaded. Raises DefinitionRefused for what is no document of
    this format, with the path of everything unknown.
    """
    problems = document.shape_problems(body)
    if problems:
        raise DefinitionRefused(problems)
    Form.objects.select_for_update().get(pk=form.pk)
    form.fields.all().delete()
    languages = body.get("languages", [form.default_language])
    form.title = body["title"]
    form.default_language = languages[0]
    form.settings = {**form.settings, "languages": languages[1:], "endings": body.get("endings", [])}
    form.save(update_fields=["title", "default_language", "settings", "updated_at"])
    _insert(form, body)


def _insert(form: Form, body: Mapping[str, Any]) -> None:
    """One statement per level: rows need the ids of those that hold them."""
    levels: dict[int, list[tuple[str, Field]]] = {}
    for position, member in enumerate(document.members(body), start=1):
        levels.setdefault(member.depth, []).append((member.path, _row(form, member, position)))
    by_path: dict[str, Field] = {}
    for depth in sorted(levels):
        for path, row in levels[depth]:
            row.parent = by_path.get(path.rpartition(".elements[")[0])
        Field.objects.bulk_create([row for _path, row in levels[depth]])
        by_path.update(levels[depth])


def _row(form: Form, member: document.Member, position: int) -> Field:
    body = member.body
    return Field(
        form=form,
        position=position,
        type=member.type,
        key=member.key,
        label=body.get("title" if member.type == "page" else "label", ""),
        help=body.get("help", ""),
        required=body.get("required", False),
        settings=body.get("settings", {}),
    )


# Publishing


@transaction.atomic
def publish(form: Form, by: Any = None) -> FormVersion:
    """Make the draft the version that takes answers, and return it. Raises PublishRefused.

    `by` is the user. Without changes since the last time nothing happens and the live version is returned. Two at
    once take turns at the form's row.
    """
    locked = Form.objects.select_for_update().get(pk=form.pk)
    current = draft(locked)
    body = current.document
    problems = current.problems(locked.keys)
    if problems:
        raise PublishRefused(problems)
    if locked.live is not None and locked.live.definition == body:
        return locked.live
    version = _version(locked, body, by)
    locked.keys = {**locked.keys, **_types(body)}
    locked.live = version
    locked.save(update_fields=["keys", "live", "updated_at"])
    form.refresh_from_db(fields=["keys", "live", "updated_at"])
    return version


def _version(form: Form, body: dict[str, Any], by: Any) -> FormVersion:
    compiled = schema.compile(body, form.region)
    before = form.versions.order_by("-number").first()
    version = FormVersion(
        form=form,
        number=1 if before is None else before.number + 1,
        definition=body,
        schema=compiled.schema,
        layout=compiled.layout.as_json(),
        retired=[] if before is None else _retired(before, compiled),
        published_at=timezone.now(),
        published_by=by,
    )
    version.save(force_insert=True)
    return version


def _retired(before: FormVersion, compiled: schema.Compiled) -> list[dict[str, Any]]:
    """Columns of earlier versions that this one lacks: those that go now, then those that went before."""
    return [column for column in [*before.layout, *before.retired] if column["key"] not in compiled.fields]


def _types(body: Mapping[str, Any]) -> dict[str, str]:
    found = document.members(body)
    return {member.key: member.type for member in found if fields.get(member.type).answerable}


def changed(form: Form) -> bool:
    """Whether the draft differs from what is published."""
    return form.live is None or form.live.definition != draft(form).document


__all__ = ["DefinitionRefused", "Draft", "Problem", "PublishRefused", "changed", "draft", "load", "publish"]
