from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from apps.archive import erasing as archive
from apps.archive import queries, writer
from apps.archive.models import FormTombstone, Submission, Tombstone
from apps.archive.tests.rows import a_form, a_row, rows
from apps.console import erasing, replay
from apps.console.doctor import erasures
from apps.console.doctor.verdict import Level
from apps.console.tests.cast import a_key, a_member
from apps.forms.models import Form
from apps.intake import outbox
from apps.intake.models import OutboxRow, OutboxSize
from apps.intake.tests.outboxes import kept
from apps.orgs.access import Actor
from apps.orgs.models import AuditEntry, Role
from apps.sinks import actions
from apps.sinks.config import Settings
from apps.sinks.models import Batch, BatchItem, BatchState, Binding, Parked
from apps.sinks.tests.kinds import Shelf
from formhub.core.journal import Entry, Journal

pytestmark = [pytest.mark.services, pytest.mark.django_db]
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def address(form: Form, id: object) -> str:
    return f"/api/v1/forms/{form.public_id}/submissions/{id}"


def page_of(form: Form, id: object) -> str:
    return reverse("erase-submission", args=[form.public_id, id])


def an_action(form: Form, name: str = "Oak shelf") -> Binding:
    return actions.create(
        organization_id=form.organization_id, form_id=form.pk, sink=Shelf, name=name,
        settings=Settings({"shelf": "oak", "shade": ""}, {"token": "hush"}), position=0,
    )  # fmt: skip


def delivered(action: Binding, id: UUID, state: str = BatchState.DELIVERED, attempts: int = 1) -> None:
    batch = Batch.objects.create(
        organization_id=action.organization_id, destination=action.destination, sequence=1, turn="1", state=state,
        attempts=attempts, size=1,
    )  # fmt: skip
    BatchItem.objects.create(binding=action, submission_id=id, batch=batch, position=1)


def parked(action: Binding, id: UUID, code: str = "too_long") -> None:
    Parked.objects.create(
        organization_id=action.organization_id, binding=action, form_id=action.form_id, submission_id=id, position=1,
        code=code,
    )  # fmt: skip


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


def test_one_transaction_takes_it_out_of_every_table() -> None:
    form = a_form()
    one, other = rows(form, [1, 2])
    parked(an_action(form), one.id)

    report = erasing.erase(Actor(), form.organization_id, form.pk, [one.id])

    assert report == erasing.Report(erased=1)
    assert [row.id for row in Submission.objects.all()] == [other.id]
    assert not Parked.objects.exists()
    assert Tombstone.objects.get().submission_id == one.id


def test_one_that_waits_in_the_outbox_goes_and_so_does_its_place_in_the_size() -> None:
    form, id = a_form(), uuid4()
    OutboxRow.objects.create(
        id=id, form_id=form.pk, partition=0, value=b"answers", headers=[], size=7, accepted_at=NOW, refused="no"
    )
    outbox.recount()

    erasing.erase(Actor(), form.organization_id, form.pk, [id])

    assert not OutboxRow.objects.exists()
    assert (OutboxSize.objects.get().rows, OutboxSize.objects.get().bytes) == (0, 0)


def test_one_that_waits_in_the_outbox_can_be_erased_over_the_api() -> None:
    form = a_form()
    row = kept(form.pk)
    client = a_key(form, "manage")

    assert client.get(address(form, row.id)).status_code == 202
    assert [client.delete(address(form, row.id)).status_code for _ in range(2)] == [204, 204]
    assert client.get(address(form, row.id)).status_code == 404
    assert Tombstone.objects.get().submission_id == row.id
    assert not OutboxRow.objects.exists()


def test_the_trail_says_who_erased_what_and_nothing_of_its_answers() -> None:
    form = a_form()
    [row] = rows(form, [7])

    for _ in range(2):
        assert a_member(form, Role.EDITOR).delete(address(form, row.id)).status_code == 204

    entry = AuditEntry.objects.get(action="erased")
    assert (entry.object_type, entry.object_id, entry.organization_id) == (
        "archive.submission", str(row.id), form.organization_id,
    )  # fmt: skip
    assert "Person 7" not in f"{entry.object_label} {entry.changes}"


def test_over_the_api_it_is_gone_and_erasing_again_is_answered_alike() -> None:
    form = a_form()
    [row] = rows(form, [7])
    client = a_key(form, "manage")

    first, second = client.delete(address(form, row.id)), client.delete(address(form, row.id))

    assert (first.status_code, first.content) == (204, b"")
    assert second.status_code == 204
    assert client.get(address(form, row.id)).status_code == 404
    assert first.headers["Cache-Control"] == "no-store"


def test_one_that_is_not_archived_is_not_found_rather_than_thought_to_be_erased() -> None:
    form = a_form()

    answer = a_key(form, "manage").delete(address(form, uuid4()))

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert not Tombstone.objects.exists()


def test_nobody_erases_by_the_id_what_another_form_holds() -> None:
    form, other = a_form(), a_form("other")
    [row] = rows(other, [7])

    assert a_member(form, Role.OWNER).delete(address(form, row.id)).status_code == 404
    assert a_member(form, Role.OWNER).delete(address(other, row.id)).status_code == 404
    assert queries.get(other.pk, row.id) is not None


def test_a_session_of_another_site_erases_nothing() -> None:
    form = a_form()
    [row] = rows(form, [7])
    client = Client(enforce_csrf_checks=True)
    client.force_login(a_member(form, Role.OWNER).get("/").wsgi_request.user)  # type: ignore[arg-type]

    assert client.delete(address(form, row.id)).status_code == 403
    assert client.post(page_of(form, row.id)).status_code == 403
    assert queries.get(form.pk, row.id) is not None


def test_the_page_says_what_goes_and_what_erasing_does_not_reach() -> None:
    form = a_form()
    [row] = rows(form, [7])
    reached, waits, unsure = (an_action(form, name) for name in ("Reached", "Waits", "Unsure"))
    delivered(reached, row.id)
    parked(unsure, row.id, "outcome_unknown")
    Binding.objects.filter(pk=reached.pk).update(kind="google_sheets")

    page = a_member(form, Role.EDITOR).get(page_of(form, row.id))

    text = page.content.decode()
    assert "“Reached”: the row stays in the Google Sheet" in text
    assert "“Unsure”: what was delivered there stays there" in text
    assert waits.name not in text
    assert "Person 7" not in text
    assert "no-store" in page.headers["Cache-Control"]


def test_sending_it_erases_and_leads_back_to_the_list() -> None:
    form = a_form()
    [row] = rows(form, [7])
    client = a_member(form, Role.EDITOR)
    offered = client.get(reverse("submission", args=[form.public_id, row.id])).content.decode()
    assert page_of(form, row.id) in offered

    answer = client.post(page_of(form, row.id))

    assert answer.headers["Location"] == f"{reverse('admin:archive_submission_changelist')}?form={form.pk}"
    assert queries.get(form.pk, row.id) is None
    assert client.get(page_of(form, row.id)).status_code == 404


def test_a_viewer_is_neither_offered_it_nor_allowed_to() -> None:
    form = a_form()
    [row] = rows(form, [7])
    client = a_member(form, Role.VIEWER)
    shown = client.get(reverse("submission", args=[form.public_id, row.id])).content.decode()

    assert page_of(form, row.id) not in shown
    assert client.get(page_of(form, row.id)).status_code == 403
    assert client.post(page_of(form, row.id)).status_code == 403
    assert a_member(a_form("other"), Role.OWNER).post(page_of(form, row.id)).status_code == 404
    assert queries.get(form.pk, row.id) is not None


def test_the_command_says_what_it_would_do_and_does_it_when_told_so(tmp_path: Path) -> None:
    form = a_form()
    one, other = rows(form, [1, 2])
    unknown = uuid4()
    erasing.erase(Actor(), None, form.pk, [other.id])
    (tmp_path / "ids").write_text(f"{unknown}\n{one.id}\n")

    dry = run("erase", form.public_id, one.id, other.id, "--file", tmp_path / "ids")
    assert "1 would be erased\n1 erased before\n1 not in the archive" in dry
    assert queries.get(form.pk, one.id) is not None
    done = run("erase", "acme~guests", one.id, other.id, "--file", tmp_path / "ids", "--yes")

    assert "1 erased\n1 erased before\n1 not in the archive" in done
    assert not Submission.objects.exists()
    assert writer.write([a_row(3, form=form.pk, id=unknown)]).inserted == 0
    assert "0 erased\n3 erased before" in run("erase", form.pk, one.id, other.id, unknown, "--yes")


def test_many_are_erased_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "CHUNK", 2)
    form = a_form()
    ids = [row.id for row in rows(form, range(1, 6))]

    assert erasing.erase(Actor(), None, form.pk, ids) == erasing.Report(erased=5)
    assert queries.count(form.pk) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["nothing", str(uuid4())], "There is no form nothing", id="no form"),
        pytest.param(["acme~guests"], "Name submissions", id="nothing named"),
        pytest.param(["acme~guests", str(uuid4()), "x"], "Entry 2 of the command line", id="a slip in an id"),
        pytest.param(["acme~guests", "--file", "/nowhere"], "/nowhere cannot be read", id="no file"),
    ],
)
def test_the_command_refuses_what_cannot_be_meant(arguments: list[str], words: str) -> None:
    a_form()

    with pytest.raises(CommandError, match=words):
        run("erase", *arguments, "--yes")
    assert not Tombstone.objects.exists()


def test_a_form_with_submissions_is_deleted_over_the_api_only_when_they_are_meant_too() -> None:
    form = a_form()
    Form.objects.filter(pk=form.pk).update(closed_at=NOW.replace(year=2020))
    rows(form, [1, 2])
    client = a_key(form, "manage")
    place = f"/api/v1/forms/{form.public_id}"

    refused = client.delete(place)
    assert (refused.status_code, refused.json()["code"]) == (409, "form_has_submissions")
    assert "(2)" in refused.json()["detail"]
    assert client.delete(f"{place}?submissions=keep").status_code == 409
    assert client.delete(f"{place}?colour=red").status_code == 400
    assert client.delete(f"{place}?submissions=erase").status_code == 204

    assert FormTombstone.objects.get().submissions == 2
    assert AuditEntry.objects.get(action="deleted").changes == {"submissions": [2, 0]}


def test_the_admin_names_what_goes_with_a_form() -> None:
    form = a_form()
    rows(form, [1, 2])
    client = a_member(form, Role.OWNER, is_staff=True)
    place = reverse("admin:forms_form_delete", args=[form.pk])

    assert "2 submissions are erased with it, for good" in client.get(place).content.decode()
    client.post(place, {"post": "yes"})

    assert FormTombstone.objects.get().submissions == 2


def test_after_a_restore_the_journal_erases_again(tmp_path: Path) -> None:
    form, deleted = a_form(), a_form("other")
    one, other = rows(form, [1, 2])
    rows(deleted, [1, 2, 3])
    parked(an_action(form), one.id)
    Journal(tmp_path).append([Entry(form.pk, one.id, NOW), Entry(deleted.pk, None, NOW)], NOW)

    said = run("replay_tombstones", tmp_path)

    assert "2 lines, 1 submissions and 1 forms erased again" in said
    assert [row.id for row in Submission.objects.all()] == [other.id]
    assert not Parked.objects.exists()
    assert [found.pk for found in Form.objects.all()] == [form.pk]
    assert archive.oldest_unwritten() is None  # it stands in the journal already
    assert "2 lines, 0 submissions and 0 forms" in run("replay_tombstones", tmp_path)


def test_a_journal_that_is_not_there_is_no_empty_journal(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no journal at"):
        run("replay_tombstones", tmp_path / "nowhere")


class TestDoctor:
    @pytest.fixture(autouse=True)
    def journal(self, settings: Any, tmp_path: Path) -> Journal:
        settings.TOMBSTONE_JOURNAL = tmp_path
        return Journal(tmp_path)

    def test_nothing_erased_is_good(self) -> None:
        assert {erasures.journal().level, erasures.restored().level, erasures.under_way().level} == {Level.GOOD}

    def test_an_erasure_that_nobody_wrote_down_is_bad(self) -> None:
        archive.bury(uuid4(), [uuid4()])
        assert erasures.journal().level is Level.GOOD  # the workers have not had their turn yet

        Tombstone.objects.update(created_at=NOW.replace(year=2025))

        assert erasures.journal().level is Level.BAD
        assert erasures.under_way().level is Level.WARN

    def test_a_database_that_forgot_what_the_journal_knows_is_bad(self, journal: Journal) -> None:
        form = uuid4()
        journal.append([Entry(form, uuid4(), NOW), Entry(uuid4(), None, NOW)], NOW)
        assert erasures.restored().level is Level.BAD

        replay.replay(journal)

        assert erasures.restored().level is Level.GOOD
