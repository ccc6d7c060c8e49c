"""An organization with one row of everything that the admin shows, marked so that its traces are found in any answer.

CASES is the list of what the admin shows. A model that is registered has to have a case here: what a row is, who may
do what with it, and what is sent to do it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.db import connection
from django.db.models import Model

from apps.archive import writer
from apps.archive.models import Submission, UnreadRecord
from apps.archive.writer import Row, Unread
from apps.forms import definition, published
from apps.forms.models import Form, FormVersion
from apps.orgs import invitations, keys
from apps.orgs.access import Actor
from apps.orgs.models import ApiKey, AuditEntry, Invitation, Membership, Organization, Role, User
from apps.sinks import actions
from apps.sinks.config import Settings
from apps.sinks.models import Batch, BatchItem, BatchState, Binding, Parked, Suppression
from apps.sinks.tests.kinds import Shelf
from apps.streams.models import Processing
from formhub.core.ids import uuid7

LONG_NUMBERS = 7_310_000_000
SUPERUSER = "superuser"
NOBODY: frozenset[str] = frozenset()
SUPERUSERS = frozenset({SUPERUSER})
OWNERS = SUPERUSERS | {Role.OWNER.value}
ADMINS = OWNERS | {Role.ADMIN.value}
EDITORS = ADMINS | {Role.EDITOR.value}
MEMBERS = EDITORS | {Role.VIEWER.value}


class Tried(Shelf):
    """Counts how often its test was asked for: that leaves the database as it is."""

    name, label = "shelf", "Shelf"
    times = 0

    def check(self) -> str:
        Tried.times += 1
        return super().check()


@dataclass
class House:
    """`mark` stands in every name and text of it, in capitals or small letters."""

    mark: str
    people: dict[str, User] = field(default_factory=dict)
    before: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.organization = Organization.objects.create(name=f"{self.mark} Ltd", slug=self.mark.lower())
        self.people = {role: self.person(role) for role in Role.values}

    def person(self, role: str, user: User | None = None) -> User:
        number = uuid4().hex[:6]
        user = user or User.objects.create_user(f"{self.mark}-{number}@example.org", name=f"{self.mark} {number}")
        Membership.objects.create(organization=self.organization, user=user, role=role)
        return user

    @cached_property
    def rows(self) -> dict[str, Model]:
        """A row of every case, by the label of its model."""
        return {label: case.build(self) for label, case in CASES.items()}

    def row(self, model: type[Model]) -> Any:
        return self.rows[model._meta.label]

    @cached_property
    def form(self) -> Form:
        form = Form.objects.create(
            organization=self.organization, slug=f"form-{self.mark.lower()}", title=f"{self.mark} guests"
        )
        question = {"type": "short_text", "key": "name", "label": f"{self.mark}'s name?"}
        document = {
            "format": "formhub/1",
            "title": form.title,
            "languages": ["en"],
            "pages": [{"key": "p1", "elements": [question]}],
        }
        definition.load(form, document)
        definition.publish(form)
        published.clear()
        return form

    @cached_property
    def action(self) -> Binding:
        return actions.create(
            organization_id=self.organization.pk,
            form_id=self.form.pk,
            sink=Tried,
            name=f"To the shelf of {self.mark}",
            settings=Settings({"shelf": f"{self.mark} oak", "shade": ""}, {"token": f"{self.mark} secret"}),
            position=0,
        )

    @cached_property
    def submission(self) -> Submission:
        row = Row(
            organization=self.organization.pk,
            form=self.form.pk,
            id=uuid7(),
            version=1,
            position=1,
            accepted_at=datetime(2026, 11, 3, 9, 14, tzinfo=UTC),
            late=False,
            answers={"name": f"{self.mark} Lovelace"},
            meta={"note": self.mark},
            source=0,
        )
        writer.write([row])
        return Submission.objects.get(form_id=row.form, id=row.id)

    @property
    def traces(self) -> list[str]:
        """What must stand in no answer to anybody else."""
        ids = [str(row.pk) for row in self.rows.values()]
        ids += [str(user.pk) for user in self.people.values()]
        return [self.mark, *ids, self.form.public_id, self.row(ApiKey).prefix]


@dataclass(frozen=True)
class Case:
    """One model of the admin. Sets name the roles that may, in their own organization.

    edits: what a change sends beyond what its page shows, each for itself; the first has to change the row.
    new: what adding sends, and `query` the address's rest of that page. actions: the list's own, with who may.
    """

    build: Callable[[House], Model]
    view: frozenset[str] = MEMBERS
    add: frozenset[str] = NOBODY
    change: frozenset[str] = NOBODY
    delete: frozenset[str] = NOBODY
    edits: Sequence[Mapping[str, Any]] = ({"name": "Renamed"},)
    new: Callable[[House], Mapping[str, Any]] = lambda house: {}
    query: str = ""
    actions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    address: Callable[[Any], str] = lambda row: str(row.pk)


def _membership(house: House) -> Membership:
    return Membership.objects.get(user=house.people[Role.VIEWER])


def _api_key(house: House) -> ApiKey:
    return keys.create(organization=house.organization, name=f"{house.mark} website", scopes=["read"])[0]


def _invitation(house: House) -> Invitation:
    owner = Actor(user=house.people[Role.OWNER])
    return invitations.invite(owner, house.organization, f"{house.mark}-guest@example.org", Role.EDITOR)[0]


def _audit_entry(house: House) -> AuditEntry:
    return AuditEntry.objects.create(
        organization=house.organization,
        user=house.people[Role.OWNER],
        action=f"renamed by {house.mark}",
        object_type=f"kind of {house.mark}",
        object_id="1",
        object_label=f"thing of {house.mark}",
        changes={"name": ["", house.mark]},
    )


def _batch(house: House) -> Batch:
    batch = Batch.objects.create(
        organization_id=house.organization.pk,
        destination=house.action.destination,
        sequence=1,
        state=BatchState.DELIVERED,
        size=1,
        last_error=f"{house.mark} stumbled",
    )
    BatchItem.objects.create(binding=house.action, submission_id=house.submission.pk, batch=batch, position=1)
    return batch


def _parked(house: House) -> Parked:
    return Parked.objects.create(
        organization_id=house.organization.pk,
        binding=house.action,
        form_id=house.form.pk,
        submission_id=uuid7(),
        position=2,
        code="too_long",
        message=f"too long for {house.mark}",
    )


def _suppression(house: House) -> Suppression:
    return Suppression.objects.create(organization=house.organization, address=f"{house.mark.lower()}@example.net")


def _unread(house: House) -> UnreadRecord:
    record = Unread(
        topic="submissions.v1",
        topic_id=uuid4().hex,
        partition=0,
        offset=1,
        key=None,
        value=house.mark.encode(),
        headers=[],
        code="malformed",
        reason=f"no envelope of {house.mark}",
    )
    writer.keep_unread([record])
    return UnreadRecord.objects.get(topic_id=record.topic_id)


def _new_key(house: House) -> Mapping[str, Any]:
    later = datetime.now(UTC) + timedelta(days=1)
    return {
        "organization": house.organization.pk,
        "name": "A new key",
        "scopes": ["read"],
        "form": house.form.pk,
        "expires_at_0": later.date().isoformat(),
        "expires_at_1": "12:00:00",
    }


_ANALYSIS = {"languages": ["english"], "allow": [], "deny": [], "fields_only": [], "sentiment": False}


def _processing(house: House) -> Processing:
    # A form has each analysis once, and another is added to the house's first.
    form = Form.objects.create(organization=house.organization, slug="analysed", title=f"{house.mark} analysed")
    config = _ANALYSIS | {"deny": [f"{house.mark}word"]}
    return Processing.objects.create(form=form, processor="content_analysis", config=config)


def _new_processing(house: House) -> Mapping[str, Any]:
    return {"form": house.form.pk, "on": "on", "settings-languages": "english", "settings-deny": "new"}


def _new_action(house: House) -> Mapping[str, Any]:
    plain = {"form": house.form.pk, "name": "A new action", "condition": "null", "flush_seconds": ""}
    return {**plain, "settings-shelf": "elm", "settings-shade": "", "settings-token": "x"}


CASES: Mapping[str, Case] = {
    "orgs.Organization": Case(
        lambda house: house.organization,
        add=SUPERUSERS,
        change=ADMINS,
        delete=OWNERS,
        edits=({"name": "Renamed"}, {"slug": "renamed"}),
        new=lambda house: {"name": "A new one", "slug": "a-new-one"},
    ),
    "orgs.Membership": Case(
        _membership,
        change=ADMINS,
        delete=ADMINS,
        edits=({"role": Role.EDITOR.value},),
        new=lambda house: {"organization": house.organization.pk, "email": "new@example.org", "role": "viewer"},
    ),
    "orgs.ApiKey": Case(
        _api_key,
        view=ADMINS,
        add=ADMINS,
        edits=({"name": "Renamed"}, {"scopes": ["manage"]}),
        new=_new_key,
        actions={"revoke": ADMINS},
    ),
    "orgs.Invitation": Case(
        _invitation,
        view=ADMINS,
        add=ADMINS,
        edits=({"email": "other@example.org"}, {"role": "owner"}),
        new=lambda house: {"organization": house.organization.pk, "email": "new@example.org", "role": "viewer"},
        actions={"revoke": ADMINS},
    ),
    "orgs.User": Case(
        lambda house: house.people[Role.EDITOR],
        add=SUPERUSERS,
        change=SUPERUSERS,
        delete=SUPERUSERS,
        edits=({"name": "Renamed"}, {"new_password": "correct horse battery"}, {"is_superuser": "on"}),
        new=lambda house: {"email": "new@example.org", "name": "New", "is_active": "on", "new_password": ""},
    ),
    "orgs.AuditEntry": Case(_audit_entry, edits=({"action": "other"},)),
    "forms.Form": Case(
        lambda house: house.form,
        add=EDITORS,
        change=EDITORS,
        delete=EDITORS,
        edits=(
            {"title": "Renamed"},
            {"fields-0-label": "Renamed"},
            {"fields-1-DELETE": "on"},
            {"_publish": "1", "title": "Published"},
            {"_close": "1"},
        ),
        new=lambda house: {
            "title": "A new form",
            "organization": house.organization.pk,
            "default_language": "en",
            "region": "",
        },
    ),
    "forms.FormVersion": Case(
        lambda house: FormVersion.objects.get(form=house.form), edits=({"number": "7"}, {"definition": "{}"})
    ),
    "archive.Submission": Case(
        lambda house: house.submission,
        edits=({"answers": "{}"}, {"version": "9"}),
        address=lambda row: f"{row.form_id}~{row.pk}",
    ),
    "archive.UnreadRecord": Case(_unread, view=SUPERUSERS, edits=({"reason": "none"},)),
    "sinks.Binding": Case(
        lambda house: house.action,
        add=EDITORS,
        change=EDITORS,
        delete=EDITORS,
        edits=(
            {"name": "Renamed"},
            {"settings-shelf": "elm"},
            {"settings-token": "another"},
            {"_pause": "1"},
            {"_off": "1"},
            {"_test": "1"},
        ),
        new=_new_action,
        query="?kind=shelf",
        actions={"pause_all": EDITORS, "resume_all": EDITORS, "test_all": EDITORS},
    ),
    "sinks.Batch": Case(_batch, edits=({"state": "pending"}, {"last_error": ""})),
    "sinks.Suppression": Case(
        _suppression,
        add=EDITORS,
        delete=EDITORS,
        edits=({"address": "other@example.net"}, {"reason": "unsubscribed"}),
        new=lambda house: {"organization": house.organization.pk, "address": "new@example.net"},
    ),
    "streams.Processing": Case(
        _processing,
        add=EDITORS,
        change=EDITORS,
        delete=EDITORS,
        edits=({"on": ""}, {"settings-deny": "other"}),
        new=_new_processing,
        query="?processor=content_analysis",
    ),
    "sinks.Parked": Case(_parked, edits=({"again": "on"}, {"message": ""}), actions={"try_again": EDITORS}),
}


def with_long_numbers() -> None:
    """So that a number in an answer is that of one row and of nothing else, each table having its own."""
    with connection.cursor() as cursor:
        for place, table in enumerate(sorted(_numbered_tables())):
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, 'id'), "
                "GREATEST(nextval(pg_get_serial_sequence(%s, 'id')), %s))",
                [table, table, LONG_NUMBERS + place * 10_000_000],
            )


def _numbered_tables() -> Iterator[str]:
    for label in CASES:
        meta = apps.get_model(label)._meta
        if meta.pk is not None and "AutoField" in meta.pk.get_internal_type():
            yield meta.db_table


ROOMS = ("orgs", "forms", "archive", "sinks", "streams")


def everything() -> dict[str, list[str]]:
    """All rows of all rooms as text, by the label of their model, and what actions did outside."""
    models = [model for room in ROOMS for model in apps.get_app_config(room).get_models()]
    found: dict[str, list[str]] = {model._meta.label: [] for model in models}
    rows = [
        f"SELECT '{model._meta.label}', to_jsonb(row)::text FROM {model._meta.db_table} row"  # noqa: S608 - our own names
        for model in models
    ]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(rows))
        for label, row in cursor.fetchall():
            found[label].append(row)
    return {label: sorted(rows) for label, rows in found.items()} | {"tests of actions": [str(Tried.times)]}
