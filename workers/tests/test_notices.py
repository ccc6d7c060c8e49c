from datetime import timedelta
from smtplib import SMTPServerDisconnected
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils import timezone

from apps.orgs.models import Membership, Organization, Role, User
from apps.sinks import actions, notices, replay
from apps.sinks.contract import ConfigurationError, PermanentError, RetryableError
from apps.sinks.models import Batch, Binding, BindingState, Notice, Parked
from apps.sinks.tests.kinds import Shelf, raising
from workers.tests.conftest import Cast

pytestmark = [pytest.mark.services, pytest.mark.django_db]
DELETED = ConfigurationError("The shelf was removed.", remedy="Choose another shelf, and resume.")


@pytest.fixture(autouse=True)
def _told_at_once(settings: Any) -> None:
    settings.NOTIFY_FAILED_MINUTES = 0
    settings.PUBLIC_URL = "https://forms.example.org"


@pytest.fixture
def people(cast: Cast) -> dict[str, User]:
    """Somebody in each role, and a stranger who owns another organization."""
    ours = Organization.objects.create(pk=cast.organization, name="Ours", slug="ours")
    theirs = Organization.objects.create(name="Theirs", slug="theirs")
    people = {role.value: User.objects.create_user(f"{role.value}@ours.example") for role in Role}
    for role in Role:
        Membership.objects.create(organization=ours, user=people[role.value], role=role)
    stranger = User.objects.create_user("owner@theirs.example")
    Membership.objects.create(organization=theirs, user=stranger, role=Role.OWNER)
    return people


def paused(cast: Cast, name: str = "oak") -> Binding:
    action = cast.action(name)
    cast.archive.add(cast.form, 1, secret="hush hush")
    Shelf.script = [raising(DELETED)]
    cast.flush(action)
    action.refresh_from_db()
    assert action.state == BindingState.PAUSED
    return action


@pytest.mark.usefixtures("people")
def test_owners_and_admins_are_told_that_an_action_was_paused_and_what_to_do(cast: Cast) -> None:
    action = paused(cast)

    notices.turn()

    message = mail.outbox[0]
    assert message.subject == "Paused: oak"
    assert sorted(message.to) == ["admin@ours.example", "owner@ours.example"]
    assert "The shelf was removed." in message.body
    assert "Choose another shelf, and resume." in message.body
    assert f"https://forms.example.org/admin/sinks/binding/{action.pk}/change/" in message.body
    assert "hush" not in message.body


@pytest.mark.usefixtures("people")
def test_they_are_told_once_for_each_pause(cast: Cast) -> None:
    action = paused(cast)
    for _ in range(3):
        notices.turn()
    assert len(mail.outbox) == 1

    actions.resume(action)
    Shelf.script = [raising(DELETED)]
    cast.flush(action)
    notices.turn()

    assert len(mail.outbox) == 2


@pytest.mark.usefixtures("people")
def test_nobody_is_told_of_a_pause_by_hand(cast: Cast) -> None:
    actions.pause(cast.action(), "Paused by hand.")

    notices.turn()

    assert mail.outbox == []


@pytest.mark.usefixtures("people")
def test_what_was_repaired_meanwhile_is_not_told(cast: Cast) -> None:
    actions.resume(paused(cast))

    notices.turn()

    assert mail.outbox == []


def test_who_is_no_longer_active_is_told_nothing(cast: Cast, people: dict[str, User]) -> None:
    User.objects.filter(pk=people["owner"].pk).update(is_active=False)
    paused(cast)

    notices.turn()

    assert mail.outbox[0].to == ["admin@ours.example"]


@pytest.mark.usefixtures("people")
def test_the_first_failed_ones_of_a_day_are_told_with_their_number_and_without_answers(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 2, secret="hush hush")
    bad = frozenset(row.id for row in rows)
    Shelf.script = [raising(PermanentError("hush hush is too long.", code="too_long", ids=bad))]
    cast.flush(action)

    for _ in range(3):
        notices.turn()

    assert [message.subject for message in mail.outbox] == ["Not delivered: oak"]
    assert "could not deliver 2 submissions" in mail.outbox[0].body
    assert "too_long" in mail.outbox[0].body
    assert "hush" not in mail.outbox[0].body


@pytest.mark.usefixtures("people")
def test_actions_that_fail_together_are_told_in_one_mail(cast: Cast) -> None:
    for name in ("oak", "elm", "ash"):
        a_failure(cast.action(name))

    for _ in range(3):
        notices.turn()

    [message] = mail.outbox
    assert message.subject == "Not delivered: 3 actions"
    for action in Binding.objects.all():
        assert f'The action "{action.name}" could not deliver 1 submission' in message.body
        assert f"https://forms.example.org{reverse('action-deliveries', args=[action.pk])}" in message.body


@pytest.mark.usefixtures("people")
def test_actions_that_fail_later_on_a_day_are_told_together_when_it_is_over(cast: Cast) -> None:
    a_failure(cast.action("oak"))
    notices.turn()
    a_failure(cast.action("elm"))
    a_failure(cast.action("ash"))
    notices.turn()
    assert [message.subject for message in mail.outbox] == ["Not delivered: oak"]

    later = Notice.objects.filter(state=Notice.State.WAITING)
    tomorrow = (timezone.now() + timedelta(days=1)).date()
    assert {notice.due_at.date() for notice in later} == {tomorrow}
    later.update(due_at=timezone.now())
    notices.turn()

    assert [message.subject for message in mail.outbox][1:] == ["Not delivered: 2 actions"]


@pytest.mark.usefixtures("people")
def test_what_was_mended_meanwhile_is_left_out_of_the_mail_about_others(cast: Cast) -> None:
    a_failure(cast.action("oak"))
    mended = a_failure(cast.action("elm"))
    notices._look_for_failed()
    mended.delete()

    notices.turn()

    assert [message.subject for message in mail.outbox] == ["Not delivered: oak"]


@pytest.mark.usefixtures("people")
def test_failed_ones_that_are_tried_again_already_are_told_when_they_fail_again(cast: Cast) -> None:
    failed = a_failure(cast.action())
    notices._look_for_failed()
    replay.ask_failed(Parked.objects.all())
    notices.turn()
    assert mail.outbox == []

    Parked.objects.filter(pk=failed.pk).update(again=False)
    notices.turn()

    assert len(mail.outbox) == 1


@pytest.mark.usefixtures("people")
def test_a_destination_that_fails_for_long_is_told_once_until_it_works_again(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 1)
    Shelf.script = [raising(RetryableError("Busy."))] * 2
    cast.flush(action)
    notices.turn()
    assert mail.outbox == []

    Batch.objects.update(created_at=timezone.now() - timedelta(hours=1))
    cast.flush(action)
    for _ in range(3):
        notices.turn()

    assert [message.subject for message in mail.outbox] == ["Deliveries fail: oak"]


@pytest.mark.usefixtures("people")
def test_a_mail_that_the_server_refuses_is_tried_again_and_not_for_ever(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(message: EmailMessage) -> int:
        raise SMTPServerDisconnected("Gone.")

    monkeypatch.setattr(EmailMessage, "send", refuse)
    paused(cast)

    notices.turn()
    assert Notice.objects.get().state == Notice.State.WAITING
    for _ in range(notices.TRIES):
        Notice.objects.update(due_at=timezone.now())
        notices.turn()

    assert (Notice.objects.get().state, Notice.objects.get().tries) == (Notice.State.DROPPED, notices.TRIES)


@pytest.mark.usefixtures("people")
def test_an_organization_gets_so_many_mails_a_day(cast: Cast, settings: Any) -> None:
    settings.NOTIFY_PER_DAY = 2
    for name in ("oak", "elm", "ash"):
        paused(cast, name)

    notices.turn()

    assert len(mail.outbox) == 2
    assert Notice.objects.filter(state=Notice.State.DROPPED).count() == 1


@pytest.mark.usefixtures("people")
def test_a_name_with_a_line_break_stays_within_the_subject(cast: Cast) -> None:
    action = paused(cast)
    Binding.objects.filter(pk=action.pk).update(name="oak\nBcc: x@example.org")

    notices.turn()

    assert mail.outbox[0].subject == "Paused: oak Bcc: x@example.org"


@pytest.mark.usefixtures("people")
def test_an_installation_may_tell_nobody(cast: Cast, settings: Any) -> None:
    settings.NOTIFY = False
    paused(cast)

    notices.turn()

    assert mail.outbox == []


def a_failure(action: Binding) -> Parked:
    return Parked.objects.create(
        organization_id=action.organization_id,
        binding=action,
        form_id=action.form_id,
        submission_id=uuid4(),
        position=1,
        code="too_long",
    )
