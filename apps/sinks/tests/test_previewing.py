"""What an action would send, shown before it is saved."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from pytest_django import Settings

from apps.archive import writer
from apps.archive.tests.rows import a_row
from apps.forms.models import Form
from apps.orgs.models import AuditEntry, Role
from apps.sinks import suppression
from apps.sinks.models import Binding
from apps.sinks.tests import test_admin, test_manage_api
from apps.sinks.tests.test_fitting import ADD, BOTH, common, layouts
from formhub.core.layout import Column, Kind, Layout

pytestmark = [pytest.mark.services, pytest.mark.django_db]
COLUMNS = Layout((Column("name", "Your name", Kind.TEXT), Column("size", "Size", Kind.CHOICE, {"l": "Large"})))
HOOK = {"url": "https://example.org/hook", "secret": "whsec_" + "c2VjcmV0" * 5, "headers": "Authorization: Bearer hush"}


@pytest.fixture(autouse=True)
def _columns(settings: Settings) -> Iterator[None]:
    settings.SINKS_LAYOUT = "apps.sinks.tests.test_fitting.layout"
    settings.PUBLIC_URL = "https://forms.example.org"
    yield
    layouts.clear()


@pytest.fixture
def form() -> Form:
    form = test_admin.a_form()
    layouts[form.pk] = COLUMNS
    return form


def archived(form: Form, *answers: dict[str, str]) -> None:
    rows = enumerate(answers)
    writer.write([a_row(n, form=form.pk, organization=form.organization_id, answers=given) for n, given in rows])


def previewed(form: Form, kind: str, settings: dict[str, Any], **more: Any) -> Any:
    program = test_manage_api.a_program(form)
    url = test_manage_api.address(form, "preview")
    return test_manage_api.send(program, "POST", url, {"kind": kind, "settings": settings, **more})


def test_a_webhook_shows_its_request_and_no_secret(form: Form) -> None:
    answer = previewed(form, "webhook", HOOK)

    shown = answer.json()
    assert (shown["made_up"], shown["content_type"]) == (True, "application/json")
    assert '"size": "l"' in shown["text"]
    assert shown["headers"]["Authorization"] == "••••"
    assert not [secret for secret in ("hush", HOOK["secret"]) if secret in answer.content.decode()]


def test_the_newest_submission_is_shown_as_it_would_be_sent(form: Form) -> None:
    archived(form, {"name": "Ada"}, {"name": "Grace", "size": "l"})
    selection = {"fields": [{"key": "name", "name": "who"}], "others": False}

    shown = previewed(form, "webhook", HOOK, selection=selection).json()

    assert shown["made_up"] is False
    assert '"answers": {\n      "who": "Grace"\n    }' in shown["text"]


def test_a_mail_is_shown_as_text_and_as_a_page(form: Form) -> None:
    settings = {"recipients": "ann@example.org", "subject": "New: {{ form }}", "text": "{{ name }}"}

    shown = previewed(form, "email_notification", settings).json()

    assert shown["headers"] == {"To": "ann@example.org", "Subject": f"New: {form.title}"}
    assert "Sample of “Your name”" in shown["text"]
    assert "<p>Sample of “Your name”</p>" in shown["html"]


def test_a_confirmation_shows_no_link_that_would_put_an_end_to_somebodys_mails(form: Form) -> None:
    archived(form, {"name": "ada@example.org"})
    settings = {"address_field": "name", "subject": "Thanks", "text": "We have it."}

    shown = previewed(form, "email_confirmation", settings).json()

    assert shown["headers"]["To"] == "ada@example.org"
    assert suppression.opened(unquote(shown["text"].partition("of=")[2].split()[0])).address == "name@example.org"


def test_a_form_that_is_not_published_has_nothing_to_show(form: Form) -> None:
    layouts.clear()

    assert test_manage_api.errors_in(previewed(form, "webhook", HOOK)) == {("", "no_preview")}


def test_settings_are_checked_as_those_of_an_action_that_is_made(form: Form) -> None:
    assert ("settings.url", "required") in test_manage_api.errors_in(previewed(form, "webhook", {}))


def test_the_admin_shows_it_and_saves_nothing(form: Form) -> None:
    client = test_admin.signed_in(form)
    assert 'name="_preview"' in client.get(f"{ADD}&form={form.pk}").content.decode()
    sent = common(text="{{ name }}") | BOTH | {"form": form.pk, "_preview": ""}

    page = client.post(f"{ADD}&form={form.pk}", sent)

    assert "Sample of “Your name”" in page.content.decode()
    assert '<iframe class="fh-frame" sandbox srcdoc="' in page.content.decode()
    assert (Binding.objects.count(), AuditEntry.objects.count()) == (0, 0)


def test_what_was_changed_on_an_actions_page_is_shown_and_not_kept(form: Form) -> None:
    client = test_admin.signed_in(form)
    client.post(ADD, common() | {"form": form.pk})
    action = Binding.objects.get()
    assert 'name="_preview"' in client.get(test_admin.page_of(action)).content.decode()

    page = client.post(test_admin.page_of(action), common(text="Changed") | {"_preview": ""})

    assert "Changed" in page.content.decode()
    assert Binding.objects.get().config == action.config


def test_what_is_wrong_is_shown_in_the_form(form: Form) -> None:
    page = test_admin.signed_in(form).post(ADD, common(recipients="") | {"form": form.pk, "_preview": ""})

    assert "settings-recipients" in page.context["adminform"].form.errors


@pytest.mark.parametrize("stranger", [False, True])
def test_who_may_not_change_an_action_gets_no_preview(form: Form, stranger: bool) -> None:
    test_admin.signed_in(form).post(ADD, common() | {"form": form.pk})
    who = test_admin.a_form("Other") if stranger else form
    client = test_admin.signed_in(who, Role.OWNER if stranger else Role.VIEWER)

    assert client.post(test_admin.page_of(Binding.objects.get()), common() | {"_preview": ""}).status_code == 403
