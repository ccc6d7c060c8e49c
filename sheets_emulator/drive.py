"""The thin part of the Drive API v3 that Sheets clients touch: list, get, create and delete files."""

from typing import Any

from sheets_emulator.auth import Account
from sheets_emulator.errors import ApiError, forbidden, not_found
from sheets_emulator.service import Service

MIME_TYPE = "application/vnd.google-apps.spreadsheet"
ROOT = "/drive/v3/files"


def call(service: Service, verb: str, path: str, body: Any, who: Account) -> tuple[int, dict[str, Any]]:
    """Status and body. Raises ApiError."""
    if path == ROOT and verb == "GET":
        mine = [found for found in service.spreadsheets.values() if who.email in found.roles]
        return 200, {"kind": "drive#fileList", "incompleteSearch": False, "files": [_file(found) for found in mine]}
    if path == ROOT and verb == "POST":
        if body.get("mimeType") != MIME_TYPE:
            raise ApiError(501, "The emulator makes spreadsheets only.")
        return 200, _file(service.create(body.get("name") or "Untitled spreadsheet", {who.email: "owner"}))
    spreadsheet = service.spreadsheets.get(path.removeprefix(ROOT + "/"))
    if spreadsheet is None or who.email not in spreadsheet.roles:
        raise not_found()
    if verb == "GET":
        return 200, _file(spreadsheet)
    if verb == "DELETE":
        if spreadsheet.roles[who.email] != "owner":
            raise forbidden()
        service.delete(spreadsheet.id)
        return 204, {}
    raise ApiError(501, f"The emulator does not serve {verb} {path}.")


def _file(found: Any) -> dict[str, Any]:
    return {"kind": "drive#file", "id": found.id, "name": found.title, "mimeType": MIME_TYPE}
