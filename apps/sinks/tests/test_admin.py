from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from apps.forms.models import Form
from apps.orgs.models import AuditEntry, Membership, Organization, Role, User
from apps.sinks import actions
from apps.sinks.admin.action_form import setting_names
from apps.sinks.builtin.email.sink import Confirmation
from apps.sinks.config import Settings
from apps.sinks.models import Batch, BatchItem, BatchState, Binding, Parked
from apps.sinks.registry import registry
from apps.sinks.tests.kinds import Shelf
from formhub.core import secrets

pytestmark = [pytest.mark.services, pytest.mark.django_db]
ADD = reverse("admin:sinks_binding_add")


@pytest.fixture(autouse=True)
def _shelf_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "get", {"shelf": Shelf}.__getitem__)
    monkeypatch.setattr(registry, "kinds", lambda: [Shelf])
    monkeypatch.setattr(registry, "find", lambda name: Shelf if name == "shelf" else None)


def a_form(name: str = "Acme") -> Form:
    organization = Organization.objects.create(name=name, slug=name.lower())
    return Form.objects.create(organization=organization, title=f"Guests of {name}", slug="guests")


def signed_in(form: Form, role: Role = Role.EDITOR) -> Client:
    user = User.objects.create_user(f"{uuid4().hex}@example.org")
    Membership.objects.create(organization=form.organization, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


def an_action(form: Form) -> Binding:
    return actions.create(
        organization_id=form.organization_id,
        form_id=form.pk,
        sink=Shelf,
        name="To the shelf",
        settings=Settings({"shelf": "oak", "shade": ""}, {"token": "hush"}),
        position=0,
    )


def page_of(action: Binding) -> str:
    return reverse("admin:sinks_binding_change", args=[action.pk])


def sent(**changes: object) -> dict[str, object]:
    common = {"name": "To the shelf", "condition": "null", "flush_seconds": ""}
    return common | {"settings-shelf": "oak", "settings-shade": "", "settings-token": ""} | changes


def test_first_the_kind_is_chosen() -> None:
    page = signed_in(a_form()).get(ADD)

    assert "?kind=shelf" in page.content.decode()


def test_then_the_kinds_own_settings_are_asked_for_and_kept() -> None:
    form = a_form()
    client = signed_in(form)
    assert 'name="settings-shelf"' in client.get(f"{ADD}?kind=shelf").content.decode()

    client.post(f"{ADD}?kind=shelf", sent(form=form.pk, **{"settings-token": "hush"}))

    action = Binding.objects.get()
    assert (action.organization_id, action.form_id, action.config) == (
        form.organization_id,
        form.pk,
        {"shelf": "oak", "shade": ""},
    )
    assert secrets.decrypt(action.secrets) == {"token": "hush"}
    assert action.destination.key == "oak"
    assert AuditEntry.objects.filter(object_type="sinks.binding", action="added").exists()


def test_settings_that_the_kind_refuses_are_explained_at_their_input() -> None:
    form = a_form()

    page = signed_in(form).post(f"{ADD}?kind=shelf", sent(form=form.pk, **{"settings-shelf": ""}))

    assert set(page.context["adminform"].form.errors) == {"settings-shelf", "settings-token"}
    assert Binding.objects.count() == 0


def test_a_secret_is_never_shown_and_stays_when_sent_empty() -> None:
    form = a_form()
    action, client = an_action(form), signed_in(form)
    assert "hush" not in client.get(page_of(action)).content.decode()

    client.post(page_of(action), sent(**{"settings-shelf": "elm"}))

    action.refresh_from_db()
    assert (action.config["shelf"], secrets.decrypt(action.secrets)) == ("elm", {"token": "hush"})
    assert action.destination.key == "elm"
    assert AuditEntry.objects.get(action="changed").changes == {"shelf": ["oak", "elm"]}


def test_a_secret_just_sent_is_not_shown_when_something_else_is_wrong() -> None:
    form = a_form()
    data = sent(form=form.pk, **{"settings-shelf": "", "settings-token": "a new secret"})

    page = signed_in(form).post(f"{ADD}?kind=shelf", data)

    assert "a new secret" not in page.content.decode()


def test_a_changed_condition_holds_from_the_end_of_the_log() -> None:
    form = a_form()
    action = an_action(form)

    signed_in(form).post(page_of(action), sent(condition='{"==": [{"var": "n"}, 1]}'))

    revision = action.revisions.last()
    assert revision is not None
    assert revision.condition == {"==": [{"var": "n"}, 1]}


def test_an_action_without_a_condition_shows_an_empty_box() -> None:
    form = a_form()

    page = signed_in(form).get(page_of(an_action(form)))

    assert page.context["adminform"].form["condition"].value() == ""


def test_settings_stand_in_the_order_that_the_kind_gives_them() -> None:
    names = setting_names(Confirmation)

    assert names[0] == "settings-address_field"


def test_a_condition_that_could_never_be_evaluated_is_refused() -> None:
    form = a_form()
    action = an_action(form)

    page = signed_in(form).post(page_of(action), sent(condition='{"no such operator": [1]}'))

    assert "condition" in page.context["adminform"].form.errors


@pytest.mark.parametrize(
    ("before", "button", "after"),
    [
        pytest.param("on", "_pause", "paused", id="pause"),
        pytest.param("paused", "_resume", "on", id="resume"),
        pytest.param("on", "_off", "off", id="switch off"),
        pytest.param("off", "_on", "on", id="switch on"),
    ],
)
def test_its_buttons_change_its_state_and_leave_a_trail(before: str, button: str, after: str) -> None:
    form = a_form()
    action = an_action(form)
    Binding.objects.update(state=before)
    client = signed_in(form)
    assert f'name="{button}"' in client.get(page_of(action)).content.decode()

    client.post(page_of(action), sent(**{button: "1"}))

    action.refresh_from_db()
    assert action.state == after
    assert AuditEntry.objects.count() == 2


def test_the_test_button_says_what_the_kind_found() -> None:
    form = a_form()

    page = signed_in(form).post(page_of(an_action(form)), sent(_test="1"), follow=True)

    assert "The shelf oak is there." in page.content.decode()


def test_an_action_is_paused_though_what_stands_in_its_form_cannot_be_saved() -> None:
    form = a_form()
    action = an_action(form)

    answer = signed_in(form).post(page_of(action), sent(name="", _pause="1"), follow=True)

    assert (Binding.objects.get().state, Binding.objects.get().name) == ("paused", action.name)
    assert "was not saved" in answer.content.decode()


def test_a_pause_shows_its_reason_and_remedy() -> None:
    form = a_form()
    action = an_action(form)
    actions.pause(action, "The shelf is gone.", "Buy a shelf.")

    text = signed_in(form).get(page_of(action)).content.decode()

    assert "The shelf is gone." in text
    assert "Buy a shelf." in text


def test_viewers_look_and_change_nothing() -> None:
    form = a_form()
    action = an_action(form)
    client = signed_in(form, Role.VIEWER)
    text = client.get(page_of(action)).content.decode()
    assert "_pause" not in text

    assert client.post(page_of(action), sent(_pause="1")).status_code == 403
    action.refresh_from_db()
    assert action.state == "on"


def test_strangers_find_nothing() -> None:
    action = an_action(a_form())
    stranger = signed_in(a_form("Other"))

    assert stranger.get(page_of(action)).status_code == 302
    listed = stranger.get(reverse("admin:sinks_binding_changelist")).content.decode()
    assert "To the shelf" not in listed


def test_nobody_attaches_an_action_to_a_strangers_form() -> None:
    form = a_form()
    stranger = signed_in(a_form("Other"))

    stranger.post(f"{ADD}?kind=shelf", sent(form=form.pk, **{"settings-token": "x"}))

    assert Binding.objects.count() == 0


def test_a_destination_that_belongs_to_another_organization_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shelf, "exclusive", True)
    an_action(a_form())
    form = a_form("Other")
    data = sent(form=form.pk, **{"settings-token": "x"})

    page = signed_in(form).post(f"{ADD}?kind=shelf", data)

    assert "Another organization delivers there already." in page.content.decode()
    with pytest.raises(actions.DestinationTakenError):
        an_action(form)


def a_delivery(action: Binding, state: str = BatchState.DELIVERED) -> BatchItem:
    batch = Batch.objects.create(
        organization_id=action.organization_id, destination=action.destination, sequence=1, state=state, size=1
    )
    return BatchItem.objects.create(binding=action, submission_id=uuid4(), batch=batch, position=1)


def a_failed(action: Binding) -> Parked:
    return Parked.objects.create(
        organization_id=action.organization_id,
        binding=action,
        form_id=action.form_id,
        submission_id=uuid4(),
        position=1,
        code="too_long",
        message="Too long.",
    )


def test_a_delivery_is_found_by_a_submission_it_carried() -> None:
    form = a_form()
    item = a_delivery(an_action(form))
    client = signed_in(form, Role.VIEWER)
    address = reverse("admin:sinks_batch_changelist")

    found = client.get(address, {"q": str(item.submission_id)}).context["cl"].result_list
    assert [batch.pk for batch in found] == [item.batch_id]
    assert list(client.get(address, {"q": "something"}).context["cl"].result_list) == []
    page = client.get(reverse("admin:sinks_batch_change", args=[item.batch_id])).content.decode()
    assert str(item.submission_id) in page


def test_strangers_find_no_delivery() -> None:
    item = a_delivery(an_action(a_form()))
    stranger = signed_in(a_form("Other"))

    found = stranger.get(reverse("admin:sinks_batch_changelist"), {"q": str(item.submission_id)})

    assert list(found.context["cl"].result_list) == []


@pytest.mark.parametrize(("role", "again"), [(Role.EDITOR, True), (Role.VIEWER, False)], ids=["editor", "viewer"])
def test_who_may_change_an_action_may_try_what_failed_again(role: Role, again: bool) -> None:
    form = a_form()
    action = an_action(form)
    row = a_failed(action)
    client = signed_in(form, role)
    address = reverse("admin:sinks_parked_changelist")
    assert "Too long." in client.get(address).content.decode()

    chosen = {"action": "try_again", "_selected_action": [row.pk]}
    asked = client.post(address, chosen)
    row.refresh_from_db()
    assert ("1 failed submission" in asked.content.decode(), row.again) == (again, False)

    client.post(address, chosen | {"post": "yes"})

    row.refresh_from_db()
    assert row.again is again


def test_an_action_is_deleted_with_its_deliveries() -> None:
    form = a_form()
    action = an_action(form)
    a_delivery(action)

    address = reverse("admin:sinks_binding_delete", args=[action.pk])
    signed_in(form).post(address, {"post": "yes"})

    assert Binding.objects.count() == 0
    assert BatchItem.objects.count() == 0


@pytest.mark.parametrize(
    ("role", "status"), [(Role.EDITOR, 302), (Role.VIEWER, 403), (None, 404)], ids=["editor", "viewer", "stranger"]
)
def test_an_actions_failed_ones_are_replayed_by_who_may_change_it(role: Role | None, status: int) -> None:
    form = a_form()
    action = an_action(form)
    row = a_failed(action)
    client = signed_in(form, role) if role else signed_in(a_form("Other"), Role.OWNER)
    address = reverse("admin:sinks_binding_replay", args=[action.pk])

    assert client.get(address).status_code == (200 if role == Role.EDITOR else status)
    assert client.post(address).status_code == status

    row.refresh_from_db()
    assert row.again is (role == Role.EDITOR)
    assert AuditEntry.objects.filter(action="replayed").exists() is (role == Role.EDITOR)
