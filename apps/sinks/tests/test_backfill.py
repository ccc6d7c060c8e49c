"""Beginning a back-fill, over HTTP and by the command; the workers' tests show what comes of it."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from apps.archive.models import Submission
from apps.forms.models import Form
from apps.orgs.models import AuditEntry
from apps.sinks import actions
from apps.sinks.models import Binding, Walk
from apps.sinks.queries import states
from apps.sinks.tests.test_manage_api import _shelf_installed, a_program, address, an_action, form, send

__all__ = ["_shelf_installed", "form"]  # fixtures
pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def action(form: Form) -> Binding:
    """Made when the form had ten submissions, one a day from the first of October on."""
    for number in range(10):
        moment = datetime(2026, 10, 1 + number, tzinfo=UTC)
        Submission.objects.create(
            organization=form.organization, form=form, id=uuid4(), version=1, position=number, accepted_at=moment,
            archived_at=moment, answers={}, meta={},
        )  # fmt: skip
    return an_action(form, position=10)


def test_everything_is_filled_or_what_was_accepted_from_a_time_on(form: Form, action: Binding) -> None:
    program = a_program(form)

    answer = send(program, "POST", address(form, action.pk, "backfill"), {"since": "2026-10-04T00:00:00Z"})
    assert answer.status_code == 200, answer.content
    action.refresh_from_db()
    assert (action.since, action.settled_to) == (2, 9)
    assert answer.json() | {"begun_at": None} == {
        "state": "running", "position": 2, "until": 9, "examined": 0, "delivered": 0, "begun_at": None,
        "finished_at": None, "percent": 0, "per_second": 0.0, "seconds_left": None,
    }  # fmt: skip

    answer = send(program, "POST", address(form, action.pk, "backfill"), {})
    assert answer.json()["position"] == -1
    assert Walk.objects.count() == 1
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["back-filled"] * 2


def test_it_is_put_off_and_goes_on(form: Form, action: Binding) -> None:
    program, place = a_program(form), address(form, action.pk, "backfill")
    assert program.get(place).json()["state"] == "none"
    assert send(program, "PATCH", place, {"paused": True}).json()["state"] == "none"
    actions.back_fill(action, -1)

    assert send(program, "PATCH", place, {"paused": True}).json()["state"] == "paused"
    assert program.get(place).json()["state"] == "paused"
    assert send(program, "PATCH", place, {"paused": False}).json()["state"] == "running"


def test_a_time_after_everything_fills_nothing(form: Form, action: Binding) -> None:
    answer = send(a_program(form), "POST", address(form, action.pk, "backfill"), {"since": "2027-01-01T00:00:00Z"})

    assert answer.json()["position"] == answer.json()["until"] == 9


@pytest.mark.parametrize("body", [{"since": "soon"}, {"from": "2026-10-04"}, []], ids=repr)
def test_a_body_that_says_something_else_is_refused(form: Form, action: Binding, body: Any) -> None:
    answer = send(a_program(form), "POST", address(form, action.pk, "backfill"), body)

    assert answer.status_code in {400, 422}
    assert not Walk.objects.exists()


def test_the_command_begins_and_puts_off_and_says_how_far_it_is(
    action: Binding, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("backfill", action.pk)
    call_command("backfill", action.pk, moment="2026-10-04", no_wait=True)
    call_command("backfill", action.pk, pause=True)

    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("This action has no back-fill")
    assert said[1] == "running: at position 2 of 9, 0 submissions looked at, 0 given to deliveries"
    assert said[2].startswith("paused: ")


def test_what_the_command_cannot_understand_it_names(action: Binding) -> None:
    with pytest.raises(CommandError, match="There is no action 0"):
        call_command("backfill", 0, all=True)
    with pytest.raises(CommandError, match="is no date"):
        call_command("backfill", action.pk, moment="soon")


def test_the_admin_begins_it_puts_it_off_and_shows_how_far_it_is(
    action: Binding, django_user_model: Any, client: Client
) -> None:
    client.force_login(django_user_model.objects.create_superuser("root@example.org", name="Root", password="x"))
    place = reverse("admin:sinks_binding_change", args=[action.pk])
    sent = {
        "name": action.name,
        "flush_seconds": "",
        "condition": "null",
        "settings-shelf": "oak",
        "settings-shade": "",
        "settings-token": "",
    }
    assert "Deliver what was submitted before" in client.get(place).content.decode()

    for button, state in (("_fill", "running"), ("_fill_later", "paused"), ("_fill_on", "running")):
        answer = client.post(place, {**sent, button: "1"})
        assert answer.status_code == 302, answer.content.decode()
        assert Walk.objects.get().state == state

    assert "Back-fill, running: 0 submissions looked at" in client.get(place).content.decode()


def test_what_a_back_fill_has_yet_to_look_at_is_shown_as_waiting(form: Form, action: Binding) -> None:
    def standings() -> list[str]:
        return [states(form.pk, uuid4(), position)[0].standing.value for position in (0, 5, 9)]

    assert standings() == ["not_applicable"] * 3
    actions.back_fill(action, 4)

    assert standings() == ["not_applicable", "waiting", "waiting"]
