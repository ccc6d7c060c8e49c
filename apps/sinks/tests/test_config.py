from django.http import QueryDict

from apps.sinks import config
from apps.sinks.config import Settings
from apps.sinks.tests.kinds import Shelf
from formhub.core import secrets

PRESENT = Settings({"shelf": "oak", "shade": "dark"}, {"token": "hush"})


def test_settings_are_split_into_what_may_be_shown_and_what_may_not() -> None:
    form = config.validated(Shelf, {"shelf": "oak", "shade": "dark", "token": "hush"})

    assert config.settings_of(Shelf, form) == PRESENT


def test_a_secret_sent_empty_keeps_the_present_one() -> None:
    form = config.validated(Shelf, QueryDict("shelf=elm&shade=&token="), PRESENT)

    assert form.is_valid()
    assert config.settings_of(Shelf, form) == Settings({"shelf": "elm", "shade": ""}, {"token": "hush"})


def test_a_secret_that_was_never_given_is_asked_for() -> None:
    form = config.validated(Shelf, {"shelf": "elm", "token": ""})

    assert list(form.errors) == ["token"]


def test_a_secret_is_never_shown_again() -> None:
    refused = config.validated(Shelf, {"shelf": "", "token": "another"}, PRESENT)

    assert "hush" not in config.blank(Shelf, PRESENT).as_p() + refused.as_p()
    assert "another" not in refused.as_p()
    assert "oak" in config.blank(Shelf, PRESENT).as_p()


def test_a_browser_does_not_insist_on_a_secret_that_is_there() -> None:
    assert not config.blank(Shelf, PRESENT)["token"].field.widget.is_required
    assert config.blank(Shelf)["token"].field.widget.is_required


def test_two_forms_on_one_page_are_told_apart_by_their_prefix() -> None:
    form = config.validated(Shelf, {"a-shelf": "elm", "a-token": ""}, PRESENT, prefix="a")

    assert config.settings_of(Shelf, form).opened == {"shelf": "elm", "shade": "", "token": "hush"}


def test_secrets_are_stored_encrypted() -> None:
    token = secrets.encrypt(PRESENT.secrets)

    assert "hush" not in token
    assert config.stored(PRESENT.config, token) == PRESENT


def test_a_destination_too_long_for_an_index_is_still_told_apart() -> None:
    keys = {config.destination_key(Shelf, Settings({"shelf": "x" * 1500 + end}, {})) for end in "ab"}

    assert len(keys) == 2
    assert {len(key) for key in keys} == {1000}
