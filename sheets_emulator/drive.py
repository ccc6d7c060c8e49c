"""The thin part of the Drive API v3 that Sheets clients touch: list, get, create, share and delete files."""

from typing import Any

from sheets_emulator.auth import Account
from sheets_emulator.errors import ApiError, forbidden, not_found
from sheets_emulator.model import Spreadsheet
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
    spreadsheet_id, _, part = path.removeprefix(ROOT + "/").partition("/")
    spreadsheet = service.spreadsheets.get(spreadsheet_id)
    if spreadsheet is None or who.email not in spreadsheet.roles:
        raise not_found()
    if part == "permissions" and verb == "POST":
        return 200, _share(service, spreadsheet, body, who)
    if part:
        raise ApiError(501, f"The emulator does not serve {verb} {path}.")
    if verb == "GET":
        return 200, _file(spreadsheet)
    if verb == "DELETE":
        if spreadsheet.roles[who.email] != "owner":
            raise forbidden()
        service.delete(spreadsheet.id)
        return 204, {}
    raise ApiError(501, f"The emulator does not serve {verb} {path}.")


def _share(service: Service, spreadsheet: Spreadsheet, body: Any, who: Account) -> dict[str, Any]:
    """As Drive has it: whoever may write may share; an owner stays one, and nobody becomes one."""
    email, role = str(body.get("emailAddress") or ""), body.get("role")
    if body.get("type") != "user" or role not in {"writer", "reader"} or "@" not in email:
        raise ApiError(501, "The emulator shares with users, as writer or reader.")
    if spreadsheet.roles[who.email] not in {"owner", "writer"}:
        raise forbidden()
    if spreadsheet.roles.get(email) == "owner":
        raise forbidden()
    service.share(spreadsheet.id, email, role)
    return {"kind": "drive#permission", "id": email, "type": "user", "role": role}


def _file(found: Any) -> dict[str, Any]:
    return {"kind": "drive#file", "id": found.id, "name": found.title, "mimeType": MIME_TYPE}
