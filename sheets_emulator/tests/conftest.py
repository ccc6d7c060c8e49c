"""Real gspread, sent to the running emulator; every answer of the Sheets API is held against Google's own schema."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import gspread
import pytest
import requests
from google.oauth2.service_account import Credentials

from sheets_emulator import discovery
from sheets_emulator.emulator import SheetsEmulator

SCOPES = ["https://www.googleapis.com/auth/spreadsheets", "https://www.googleapis.com/auth/drive"]


class LocalCredentials(Credentials):  # type: ignore[misc, no-any-unimported, unused-ignore]
    """google-auth asks Google, beside each token, which regions an account may use: not for an emulated one."""

    def _is_regional_access_boundary_lookup_required(self) -> bool:
        return False


def connect(emulator: SheetsEmulator, key: dict[str, Any]) -> gspread.Client:
    class Here(gspread.HTTPClient):
        def request(self, method: str, endpoint: str, *args: Any, **kwargs: Any) -> Any:
            response = super().request(method, emulator.url + urlsplit(endpoint).path, *args, **kwargs)
            check(method, response)
            return response

    credentials = LocalCredentials.from_service_account_info(key, scopes=SCOPES)  # type: ignore[no-untyped-call]
    client = gspread.Client(credentials, http_client=Here)
    client.set_timeout((5, 10))
    return client


def check(method: str, response: requests.Response) -> None:
    """An answer with a field that Google's has not, or of another type, is a fault of ours."""
    found = discovery.route(method.upper(), urlsplit(response.url).path)
    if found is not None:
        assert discovery.check(found[0].response, response.json()) == []


@pytest.fixture(scope="session")
def emulator() -> Iterator[SheetsEmulator]:
    with SheetsEmulator(quota_scale=0) as running:
        yield running


@pytest.fixture(scope="session")
def keys(emulator: SheetsEmulator) -> list[dict[str, Any]]:
    """Two for all: making a key of 2,048 bits takes longer than most tests."""
    return [emulator.new_account(), emulator.new_account()]


@pytest.fixture(scope="session")
def key(keys: list[dict[str, Any]]) -> dict[str, Any]:
    return keys[0]


@pytest.fixture(scope="session")
def client(emulator: SheetsEmulator, key: dict[str, Any]) -> gspread.Client:
    return connect(emulator, key)


@pytest.fixture(scope="session")
def other(emulator: SheetsEmulator, keys: list[dict[str, Any]]) -> gspread.Client:
    return connect(emulator, keys[1])


@pytest.fixture
def spreadsheet(emulator: SheetsEmulator, client: gspread.Client, key: dict[str, Any]) -> gspread.Spreadsheet:
    """Owned by a person, shared with the account as an editor."""
    return client.open_by_key(emulator.create("Answers", {key["client_email"]: "writer"}))


@pytest.fixture
def tab(spreadsheet: gspread.Spreadsheet) -> gspread.Worksheet:
    return spreadsheet.sheet1


@pytest.fixture
def control(emulator: SheetsEmulator) -> Callable[..., Any]:
    """Call a control endpoint; the JSON of its answer."""

    def call(verb: str, endpoint: str, /, **body: Any) -> Any:
        response = requests.request(verb, f"{emulator.url}/control/{endpoint}", json=body, timeout=10)
        assert response.status_code == 200, response.text
        return response.json()

    return call
