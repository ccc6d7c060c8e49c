import json
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from apps.sinks.builtin.google_sheets.config import GoogleSheetsConfig, account_of
from apps.sinks.contract import ConfigurationError
from sheets_emulator.auth import make_key

ID = "1aBcDeFgHiJkLmNoPqRsTuVwXyZ-0123456789_abcd"
GOOGLE = "https://oauth2.googleapis.com/token"


@pytest.fixture(scope="module")
def key() -> dict[str, Any]:
    return make_key("sheets@acme.iam.gserviceaccount.com", "acme", GOOGLE)


@pytest.fixture(autouse=True)
def _no_account_of_its_own(settings: Settings) -> None:
    settings.SHEETS_BASE_URL = ""
    settings.SHEETS_SERVICE_ACCOUNT_FILE = ""


def filled(key: Any, **changes: Any) -> GoogleSheetsConfig:
    text = key if isinstance(key, str) else json.dumps(key)
    return GoogleSheetsConfig({"spreadsheet": ID, "worksheet": "Submissions", "service_account": text} | changes)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param(ID, id="the id alone"),
        pytest.param(f"https://docs.google.com/spreadsheets/d/{ID}/edit?gid=0#gid=0", id="the browser's address"),
        pytest.param(f"https://docs.google.com/spreadsheets/u/1/d/{ID}/edit", id="of a second account"),
        pytest.param(f"http://127.0.0.1:8090/spreadsheets/{ID}", id="the emulator's page"),
    ],
)
def test_the_spreadsheet_is_taken_from_its_address(key: dict[str, Any], address: str) -> None:
    form = filled(key, spreadsheet=address)

    assert form.is_valid(), form.errors
    assert form.cleaned_data["spreadsheet"] == ID


def test_an_address_of_something_else_is_refused_with_what_to_do(key: dict[str, Any]) -> None:
    [message] = filled(key, spreadsheet="https://example.org").errors["spreadsheet"]

    assert "Paste the spreadsheet's address" in message


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"type": "authorized_user"}, "type must be service_account", id="another kind of credentials"),
        pytest.param({"client_email": ""}, "lacks client_email", id="a member missing"),
        pytest.param({"token_uri": "https://evil.example/token"}, "not Google's", id="a token address elsewhere"),
        pytest.param({"token_uri": "http://oauth2.googleapis.com/token"}, "not Google's", id="without encryption"),
        pytest.param({"token_uri": "https://x@[::1"}, "not Google's", id="an address that is none"),
        pytest.param({"private_key": "-----BEGIN"}, "private key in it cannot be read", id="half a private key"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_with_the_reason(
    key: dict[str, Any], changes: dict[str, str], says: str
) -> None:
    form = filled(key | changes)

    assert says in str(form.errors["service_account"].as_data()[0].message)
    assert key["private_key"][60:90] not in str(form.errors)


@pytest.mark.parametrize("text", ["{", "[]", "null", '"text"'])
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    assert "service_account" in filled(text).errors


def test_the_emulators_token_address_is_good_only_where_the_emulator_is_set(
    key: dict[str, Any], settings: Settings
) -> None:
    emulated = key | {"token_uri": "http://127.0.0.1:8090/token"}
    assert not filled(emulated).is_valid()

    settings.SHEETS_BASE_URL = "http://127.0.0.1:8090"

    assert filled(emulated).is_valid()


def test_without_a_key_the_installations_own_account_is_used(
    key: dict[str, Any], settings: Settings, tmp_path: Path
) -> None:
    assert "service_account" in filled("").errors

    path = tmp_path / "key.json"
    path.write_text(json.dumps(key))
    settings.SHEETS_SERVICE_ACCOUNT_FILE = str(path)

    form = filled("")
    assert form.is_valid()
    assert key["client_email"] in str(form.fields["service_account"].help_text)
    assert account_of(form.cleaned_data).email == key["client_email"]


def test_an_account_file_that_is_gone_pauses_the_action_with_a_remedy(settings: Settings) -> None:
    settings.SHEETS_SERVICE_ACCOUNT_FILE = "/nowhere/key.json"

    with pytest.raises(ConfigurationError) as caught:
        account_of({"service_account": ""})

    assert "Paste a service account's key" in caught.value.remedy
