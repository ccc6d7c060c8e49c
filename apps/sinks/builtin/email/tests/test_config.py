"""What is refused when settings are saved: by name, with the remedy."""

from typing import Any

import pytest
from pytest_django import Settings

from apps.sinks.builtin.email.config import ConfirmationConfig, NotificationConfig
from apps.sinks.builtin.email.sink import Confirmation, Notification
from apps.sinks.builtin.email.tests.conftest import LAYOUT, TO_RESPONDENTS, TO_TEAM

pytestmark = pytest.mark.usefixtures("addresses")


def errors_of(**changes: Any) -> dict[str, list[str]]:
    """Of a confirmation's settings, or of a notification's where recipients are given."""
    form = (
        NotificationConfig({**TO_TEAM, **changes})
        if "recipients" in changes
        else ConfirmationConfig({**TO_RESPONDENTS, **changes})
    )
    return {name: [str(each) for each in found] for name, found in form.errors.items()}


def test_settings_that_are_right_are_taken_as_they_are() -> None:
    form = ConfirmationConfig(TO_RESPONDENTS)

    assert form.is_valid(), form.errors
    assert form.cleaned_data == TO_RESPONDENTS
    assert errors_of(recipients=TO_TEAM["recipients"]) == {}


def test_the_texts_that_are_offered_can_be_saved() -> None:
    for kind, rest in (
        (ConfirmationConfig, {"address_field": "email"}),
        (NotificationConfig, {"recipients": "a@b.org"}),
    ):
        offered = {name: field.initial for name, field in kind().fields.items() if field.initial is not None}
        assert kind({**offered, **rest}).errors == {}


def test_a_confirmation_repeats_no_answer_unless_somebody_says_so() -> None:
    [said] = errors_of(text="Dear {{ name }}")["text"]
    assert "{{ name }}" in said
    assert "repeat answers" in said
    assert "{{ answers }}" in errors_of(subject="{{ answers }}")["subject"][0]

    assert errors_of(text="Dear {{ name }}: {{ answers }}", answers=True) == {}


def test_a_confirmation_has_no_link_to_what_only_members_see() -> None:
    assert "Remove it" in errors_of(text="{{ link }}", answers=True)["text"][0]


def test_a_subject_is_one_line() -> None:
    assert "subject" in errors_of(subject="One\u2028two")


def test_confirmations_need_an_address_that_their_link_leads_to(settings: Settings) -> None:
    settings.PUBLIC_URL = ""

    assert "PUBLIC_URL" in errors_of()["__all__"][0]


@pytest.mark.parametrize("address", ["a@example.org, b@example.org", "Team <a@example.org>", "a@example.org\nb@b.org"])
def test_answers_go_to_one_address(address: str) -> None:
    assert "reply_to" in errors_of(reply_to=address)


def test_recipients_are_a_short_list_of_single_addresses() -> None:
    form = NotificationConfig({**TO_TEAM, "recipients": "Ann@EXAMPLE.org\r\n\r\nbob@example.org\nAnn@example.org"})

    assert form.is_valid()
    assert form.cleaned_data["recipients"] == "Ann@example.org\nbob@example.org"
    assert "Line 2" in errors_of(recipients="a@example.org\nb@example.org, c@example.org")["recipients"][0]
    many = "\n".join(f"a{n}@example.org" for n in range(21))
    assert "at most 20" in errors_of(recipients=many)["recipients"][0]
    assert "recipients" in errors_of(recipients="\n")


def test_what_a_form_does_not_have_is_named_with_what_it_has() -> None:
    found = Confirmation.misfits({**TO_RESPONDENTS, "address_field": "mail", "text": "{{ nmae }}"}, LAYOUT)

    assert "“mail”" in found["address_field"]
    assert "email" in found["address_field"]
    assert "{{ nmae }}" in found["text"]
    assert "name" in found["text"]
    assert Confirmation.misfits(TO_RESPONDENTS, LAYOUT) == {}


@pytest.mark.parametrize(
    "text", ["{{ user.password }}", "{{ name|upper }}", "{{ Name }}", "{{ }}", "{{ link }}{{ x }}"]
)
def test_a_placeholder_that_nothing_stands_for_is_refused(text: str) -> None:
    assert set(Notification.misfits({**TO_TEAM, "text": text}, LAYOUT)) == {"text"}


def test_a_notification_may_say_everything() -> None:
    every = "{{ form }} {{ id }} {{ accepted_at }} {{ link }} {{ answers }} {{ name }} {{ count }} {{ email }}"
    assert Notification.misfits({**TO_TEAM, "text": every}, LAYOUT) == {}
