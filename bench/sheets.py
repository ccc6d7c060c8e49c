"""The emulated Sheets as a reader sees them: real gspread, with an account of its own.

That account has a project and so quotas of its own, the true ones: what is read here never slows down what is written.
"""

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import gspread
from gspread.urls import DRIVE_FILES_API_V3_URL

ID_HEADER = "Submission ID"
TITLE = "Load {:02}"
TIMEOUTS = (5.0, 60.0)  # to connect, to read
MINUTES = 3  # how often the next minute of the quota is waited for

Answer = TypeVar("Answer")


class EmulatorClient(gspread.HTTPClient):
    """Real gspread, sent to the emulator instead of Google."""

    base = ""

    def request(self, method: str, endpoint: str, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(endpoint)
        target = f"{self.base}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        return super().request(method, target, *args, **kwargs)


def reader(demo: Mapping[str, Any]) -> gspread.HTTPClient:
    sheets = demo["sheets"]
    client = type("BoundClient", (EmulatorClient,), {"base": sheets["url"].rstrip("/")})
    found = gspread.service_account(filename=sheets["reader_service_account_file"], http_client=client).http_client
    found.set_timeout(TIMEOUTS)
    return found


def spreadsheets(demo: Mapping[str, Any], count: int) -> list[str]:
    """The ids of so many spreadsheets for load, each shared with the account that writes. Made once, found again."""
    client = reader(demo)
    writer = json.loads(Path(demo["sheets"]["service_account_file"]).read_text())["client_email"]
    files = client.request("get", DRIVE_FILES_API_V3_URL).json()["files"]
    found = {file["name"]: str(file["id"]) for file in files}
    for title in map(TITLE.format, range(1, count + 1)):
        if title not in found:
            found[title] = _make(client, title, writer)
    return [found[TITLE.format(number)] for number in range(1, count + 1)]


def control(base: str, what: str, verb: str = "POST", **given: Any) -> dict[str, Any]:
    """What the emulator at this address is told to do; its answer."""
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{base.rstrip('/')}/control/{what}",
        data=json.dumps(given).encode(),
        headers={"Content-Type": "application/json"},
        method=verb,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own address
        found: dict[str, Any] = json.load(answer)
    return found


def submission_ids(client: gspread.HTTPClient, spreadsheet_id: str, worksheet: str) -> list[str]:
    """As the tab holds them, from top to bottom; none if there is no such tab yet. One read of the quota."""
    try:
        rows = _patiently(lambda: client.values_get(spreadsheet_id, f"'{worksheet}'")).get("values", [])
    except gspread.exceptions.APIError as error:
        if error.response.status_code == 400:  # Google's answer to a range on a tab that is not there
            return []
        raise
    if not rows:
        return []
    column = rows[0].index(ID_HEADER)
    return [row[column] for row in rows[1:] if len(row) > column and row[column]]


def _make(client: gspread.HTTPClient, title: str, writer: str) -> str:
    kind = "application/vnd.google-apps.spreadsheet"
    made = client.request("post", DRIVE_FILES_API_V3_URL, json={"name": title, "mimeType": kind}).json()
    client.insert_permission(made["id"], writer, perm_type="user", role="writer", notify=False)
    return str(made["id"])


def _patiently(call: Callable[[], Answer]) -> Answer:
    """On a 429 again in the next minute of the quota, MINUTES times at most."""
    for _ in range(MINUTES):
        try:
            return call()
        except gspread.exceptions.APIError as error:
            if error.response.status_code != 429:
                raise
            time.sleep(61 - time.time() % 60)
    return call()
