"""A webhook made and tested as people and programs do it: in the admin and over the API."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from standardwebhooks import Webhook as Verifier

from apps.forms.models import Form
from apps.orgs import keys
from apps.orgs.models import Membership, Organization, Role, User
from apps.sinks.builtin.webhook.signing import make_secret
from apps.sinks.builtin.webhook.tests.conftest import Post
from apps.sinks.models import Binding
from apps.sinks.tests.receiver import answering
from formhub.core import secrets

pytestmark = [pytest.mark.services, pytest.mark.django_db]
ADD = f"{reverse('admin:sinks_binding_add')}?kind=webhook"


@pytest.fixture
def form() -> Form:
    organization = Organization.objects.create(name="Acme", slug="acme")
    return Form.objects.create(organization=organization, title="Guests", slug="guests")


@pytest.fixture
def editor(form: Form) -> Client:
    user = User.objects.create_user(f"{uuid4().hex}@example.org")
    Membership.objects.create(organization=form.organization, user=user, role=Role.EDITOR)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def program(form: Form) -> Client:
    _, token = keys.create(organization=form.organization, name="test", scopes=("manage",))
    return Client(headers={"Authorization": f"Bearer {token}"})


def send(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.generic(method, path, "" if body is None else json.dumps(body), "application/json")


def filled(form: Form, url: str, **changes: str) -> dict[str, object]:
    common: dict[str, object] = {"form": form.pk, "name": "To us", "condition": "null", "flush_seconds": ""}
    return common | {"settings-url": url, "settings-version": "1"} | changes


def offered(page: str) -> str:
    """The secret that stands in its input."""
    _, _, after = page.partition('name="settings-secret"')
    value = after.partition(">")[0].partition('value="')[2]
    return value.partition('"')[0]


def test_in_the_admin_a_secret_is_offered_once_and_signs_the_test(form: Form, editor: Client, post: Post) -> None:
    secret = offered(editor.get(ADD).content.decode())

    editor.post(ADD, filled(form, post.receiver.url, **{"settings-secret": secret}))
    action = Binding.objects.get()
    page = reverse("admin:sinks_binding_change", args=[action.pk])
    shown = editor.get(page).content.decode()
    after = editor.post(page, filled(form, post.receiver.url, _test="1"), follow=True).content.decode()

    assert secrets.decrypt(action.secrets) == {"secret": secret}
    assert "whsec_" not in offered(shown)
    assert secret not in shown + after
    assert "The receiver took a test event: it answered 204." in after
    [call] = post.receiver.calls
    assert Verifier(secret).verify(call.body, dict(call.headers.items())) == call.json()


def test_in_the_admin_what_is_wrong_is_said_at_its_input(form: Form, editor: Client, post: Post) -> None:
    wrong = {"settings-secret": "hush", "settings-headers": "Host: other", "settings-second_only": "on"}

    page = editor.post(ADD, filled(form, "https://10.0.0.1/", **wrong))

    errors = page.context["adminform"].form.errors
    assert set(errors) == {"settings-url", "settings-secret", "settings-headers", "settings-second_only"}
    assert "This is not a public address." in page.content.decode()
    assert "hush" not in page.content.decode()


def test_a_program_makes_one_tests_it_and_changes_its_secret(form: Form, program: Client, post: Post) -> None:
    first, second = make_secret(), make_secret()
    place = f"/api/v1/forms/{form.public_id}/actions"
    wanted = {"url": post.receiver.url, "secret": first, "headers": "Authorization: Bearer abc"}

    made = send(program, "POST", place, {"kind": "webhook", "name": "To us", "settings": wanted})
    one = made.headers["Location"]
    tested = send(program, "POST", f"{one}/test")
    changed = send(program, "PATCH", one, {"settings": {"second_secret": second}})
    ended = send(program, "PATCH", one, {"settings": {"second_only": True, "headers": "-"}})

    assert (made.status_code, changed.status_code, ended.status_code) == (201, 200, 200)
    assert tested.json() == {"works": True, "message": "The receiver took a test event: it answered 204."}
    assert made.json()["settings"] == {
        "url": post.receiver.url, "version": "1", "thin": False, "several": False, "second_only": False,
    }  # fmt: skip
    assert not any(text in (made.content + ended.content).decode() for text in (first, second, "abc"))
    assert secrets.decrypt(Binding.objects.get().secrets) == {"secret": second}


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, {"settings.url", "settings.secret"}),
        ({"url": "ftp://example.com/", "secret": "hush"}, {"settings.url", "settings.secret"}),
        ({"url": "https://example.com/", "secret": make_secret(), "version": "2"}, {"settings.version"}),
        ({"url": "https://example.com/", "secret": make_secret(), "headers": "nothing"}, {"settings.headers"}),
    ],
)
def test_a_program_is_told_what_is_wrong(form: Form, program: Client, settings: Any, wrong: set[str]) -> None:
    answer = send(
        program,
        "POST",
        f"/api/v1/forms/{form.public_id}/actions",
        {"kind": "webhook", "name": "To us", "settings": settings},
    )

    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == wrong


def test_a_test_that_fails_says_why_and_what_to_do(form: Form, program: Client, post: Post) -> None:
    post.receiver.script = [answering(404)]
    place = f"/api/v1/forms/{form.public_id}/actions"
    made = send(program, "POST", place, {"kind": "webhook", "name": "To us", "settings": post.config()})

    tested = send(program, "POST", f"{made.headers['Location']}/test").json()

    assert tested["works"] is False
    assert tested["message"] == (
        "The service answered 404 Not Found. Correct the address in the action's settings, and resume."
    )
