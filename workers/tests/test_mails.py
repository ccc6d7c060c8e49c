"""Mails through the whole engine, against a real mail server: what is in the ledger is what is in the mailbox."""

from typing import Any

import pytest

from apps.orgs.models import Organization
from apps.sinks import actions, replay
from apps.sinks.builtin.email.sink import UNSURE_TRIES, Confirmation
from apps.sinks.builtin.email.tests.conftest import TO_RESPONDENTS, addresses, server
from apps.sinks.builtin.email.tests.server import Fault, MailServer
from apps.sinks.config import Settings
from apps.sinks.models import Batch, BatchState, Binding, BindingState, Parked
from deploy.local.valkey import Valkey
from workers.tests.conftest import KINDS, Cast
from workers.tests.rooms import Row

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
__all__ = ["addresses", "server"]  # fixtures


@pytest.fixture
def action(cast: Cast, server: MailServer, valkey_service: Valkey, monkeypatch: pytest.MonkeyPatch) -> Binding:
    monkeypatch.setitem(KINDS, "email_confirmation", Confirmation)
    cast.organization = Organization.objects.create(name="Acme", slug="acme").pk
    return actions.create(
        organization_id=cast.organization,
        form_id=cast.form,
        sink=Confirmation,
        name="Thank you",
        settings=Settings(dict(TO_RESPONDENTS), {}),
        position=0,
    )


def submitted(cast: Cast, *addresses: Any) -> list[Row]:
    return [cast.archive.add(cast.form, email=address)[0] for address in addresses]


def ids_of(server: MailServer, address: str) -> list[str]:
    return [mail.message["Message-ID"].strip() for mail in server.to(address)]


def failed() -> dict[Any, str]:
    return dict(Parked.objects.values_list("submission_id", "code"))


def test_each_respondent_gets_one_mail_and_those_who_cannot_are_listed(
    cast: Cast, action: Binding, server: MailServer
) -> None:
    server.codes["gone@example.com"] = 550
    rows = submitted(cast, "ada@example.com", "a@b.org,c@d.org", "gone@example.com", None, "bob@example.com")

    cast.flush(action)

    assert [mail.to for mail in server.taken] == [("ada@example.com",), ("bob@example.com",)]
    assert failed() == {rows[1].id: "invalid_address", rows[2].id: "recipient_refused"}
    action.refresh_from_db()
    assert action.delivered == 3


def test_a_mail_without_an_answer_is_repeated_with_its_id_and_holds_up_no_other_for_ever(
    cast: Cast, action: Binding, server: MailServer
) -> None:
    server.faults.extend([Fault.DROP_AFTER] * UNSURE_TRIES)
    rows = submitted(cast, "ada@example.com", "bob@example.com")

    for _ in range(UNSURE_TRIES + 1):
        cast.flush(action)

    assert ids_of(server, "ada@example.com") == [f"<{rows[0].id}.{action.pk}@forms.example.org>"] * UNSURE_TRIES
    assert len(server.to("bob@example.com")) == 1
    assert failed() == {rows[0].id: "outcome_unknown"}


def test_nothing_of_a_mail_stays_with_its_delivery(cast: Cast, action: Binding, server: MailServer) -> None:
    server.faults.append(Fault.DROP_AFTER)
    submitted(cast, "ada@example.com")
    cast.flush(action)
    kept = bytes(Batch.objects.get().body or b"")
    assert b"unsure" in kept
    assert b"ada" not in kept

    cast.flush(action)

    [batch] = Batch.objects.all()
    assert (batch.state, batch.body) == (BatchState.DELIVERED, None)


def test_no_mail_goes_out_after_the_owner_has_stopped_it(cast: Cast, action: Binding, server: MailServer) -> None:
    server.faults.append(Fault.BUSY)
    submitted(cast, "ada@example.com")
    cast.flush(action)

    actions.pause(action)
    cast.flush(action)
    assert server.taken == []

    actions.resume(action)
    cast.flush(action)
    assert len(server.to("ada@example.com")) == 1


def test_a_refusal_of_our_own_address_pauses_the_action_with_the_remedy(
    cast: Cast, action: Binding, server: MailServer
) -> None:
    server.faults.append(Fault.REFUSE_SENDER)
    submitted(cast, "ada@example.com")

    cast.flush(action)

    action.refresh_from_db()
    assert action.state == BindingState.PAUSED
    assert "DEFAULT_FROM_EMAIL" in action.pause_remedy
    actions.resume(action)
    cast.flush(action)
    assert len(server.to("ada@example.com")) == 1


def test_what_failed_is_mailed_when_it_is_asked_for_again(cast: Cast, action: Binding, server: MailServer) -> None:
    server.codes["ada@example.com"] = 550
    submitted(cast, "ada@example.com")
    cast.flush(action)
    server.codes.clear()

    replay.ask_failed(Parked.objects.filter(binding=action), replay.Wanted())
    cast.flush(action)

    assert failed() == {}
    assert len(server.to("ada@example.com")) == 1
