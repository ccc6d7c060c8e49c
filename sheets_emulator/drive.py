"""The thin part of the Drive API v3 that Sheets clients touch: files, who they are shared with, comments, exports."""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sheets_emulator import masks
from sheets_emulator.auth import Account
from sheets_emulator.errors import ApiError, DriveError
from sheets_emulator.model import Json, Spreadsheet
from sheets_emulator.render import shown
from sheets_emulator.service import Service

MIME_TYPE = "application/vnd.google-apps.spreadsheet"
ROLES = {"owner", "writer", "commenter", "reader"}
EDITORS = {"owner", "writer"}
PAGE_MAX = 1000
CSV_MAX = 10 * 1024 * 1024
_CONDITION = re.compile(
    r"""(?:(\w+)\s*(=|in|contains)\s*["']((?:[^"'\\]|\\.)*)["']|["']([^"']*)["']\s+in\s+parents|trashed\s*=\s*false)"""
    r"""\s*(?:and\s+|$)"""
)


@dataclass(frozen=True, slots=True)
class Text:
    """An answer that is not JSON."""

    content: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Call:
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    who: Account


Answer = Json | Text | None
Handler = Callable[[Service, Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    id: str
    verb: str
    pattern: "re.Pattern[str]"
    handler: Handler


def route(verb: str, path: str) -> tuple[Route, dict[str, str]] | None:
    for each in ROUTES:
        if each.verb == verb and (match := each.pattern.fullmatch(path)):
            return each, match.groupdict()
    return None


def answer(service: Service, found: Route, call: Call) -> Answer:
    """None is an answer without a body. Raises ApiError."""
    service.count(found.id)
    with service.lock:
        body = found.handler(service, call)
    if not isinstance(body, dict):
        return body
    kept: Json = masks.apply(masks.parse(call.query.get("fields", "")), body)
    return kept


# Files


def _list(service: Service, call: Call) -> Json:
    wanted = _conditions(call.query.get("q", ""))
    mine = [found for found in service.spreadsheets.values() if found.role(call.who.email)]
    chosen = [found for found in mine if all(_holds(found, *each) for each in wanted)]
    chosen.sort(key=lambda found: found.modified, reverse=True)
    body, files = _page(call, [_file(found) for found in chosen])
    return {"kind": "drive#fileList", **body, "incompleteSearch": False, "files": files}


def _create(service: Service, call: Call) -> Json:
    if call.body.get("mimeType") != MIME_TYPE:
        raise ApiError(501, "The emulator makes spreadsheets only.")
    _check_storage(service)
    title, folder = call.body.get("name") or "Untitled", _folder(call)
    return _short(service.create(title, {call.who.email: "owner"}, folder=folder))


def _copy(service: Service, call: Call) -> Json:
    source = _found(service, call)
    _check_storage(service)
    return _short(service.copy(source.id, call.body.get("name") or "", call.who.email, _folder(call)))


def _get(service: Service, call: Call) -> Json:
    found = _found(service, call)
    return _file(found) if call.query.get("fields") else _short(found)


def _update(service: Service, call: Call) -> Json:
    found = _found(service, call, EDITORS)
    if unserved := sorted(call.body.keys() - {"name"}):
        raise ApiError(501, f"The emulator does not change {unserved[0]} of a file.")
    rename = {"updateSpreadsheetProperties": {"properties": {"title": call.body.get("name")}, "fields": "title"}}
    entry = {"email": call.who.email, "project": call.who.project, "requests": [rename]}
    service.change(found.id, "batch", **entry)
    return _short(service.find(found.id))


def _delete(service: Service, call: Call) -> None:
    service.delete(_found(service, call, {"owner"}).id)


def _export(service: Service, call: Call) -> Text:
    """The first tab as text; a page, a workbook or an archive is not made here."""
    found, kind = _found(service, call), call.query.get("mimeType", "")
    delimiter = {"text/csv": ",", "text/tab-separated-values": "\t"}.get(kind)
    if delimiter is None:
        raise ApiError(501, f"The emulator does not export as {kind}.")
    sheet = found.sheets[0]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    lines = sheet.rows.between(0, sheet.last_row())
    width = max(map(len, lines), default=0)
    for line in lines:
        cells = [shown(cell, "FORMATTED_VALUE", "FORMATTED_STRING") for cell in line]
        writer.writerow([*cells, *[""] * (width - len(cells))])
    return Text(out.getvalue().removesuffix("\r\n").encode(), kind)


def _import(service: Service, call: Call) -> Json:
    """The upload of Drive v2 that turns a CSV text into the cells of a file."""
    found = _found(service, call, EDITORS)
    if len(call.body) > CSV_MAX:
        raise DriveError(413, "The file is too large.", "uploadTooLarge")
    rows = list(csv.reader(io.StringIO(call.body.decode("utf-8-sig"), newline="")))
    service.change(found.id, "import_csv", email=call.who.email, rows=rows)
    return {"kind": "drive#file", "id": found.id, "title": found.title, "mimeType": MIME_TYPE}


# Who it is shared with


def _permissions(service: Service, call: Call) -> Json:
    found = _found(service, call, EDITORS)
    body, shown = _page(call, [_permission(found, whom) for whom in found.roles])
    return {"kind": "drive#permissionList", **body, "permissions": shown}


def _share(service: Service, call: Call) -> Json:
    """Whoever may write may share; an owner stays one, and becomes one by a transfer only."""
    found = _found(service, call, EDITORS)
    role, whom = call.body.get("role"), _whom(call.body)
    if role == found.roles.get(whom) == "owner":  # named again, as by gspread's copy: nothing changes
        return {"kind": "drive#permission", **_permission(found, whom)}
    if role not in ROLES - {"owner"}:
        raise DriveError(403, "The transferOwnership parameter must be enabled.", "forbidden")
    if found.roles.get(whom) == "owner":
        raise _may_not()
    service.share(found.id, whom, role)
    return {"kind": "drive#permission", **_permission(service.find(found.id), whom)}


def _get_permission(service: Service, call: Call) -> Json:
    found = _found(service, call, EDITORS)
    return {"kind": "drive#permission", **_permission(found, _holder(found, call))}


def _change_permission(service: Service, call: Call) -> Json:
    found = _found(service, call)
    whom, role = _holder(found, call), call.body.get("role")
    if role == "owner":
        _accept(service, found, whom, call)
    else:
        _found(service, call, EDITORS)
        if role not in ROLES or found.roles[whom] == "owner":
            raise _may_not()
        service.share(found.id, whom, role)
        if call.body.get("pendingOwner"):
            _found(service, call, {"owner"})
            service.change(found.id, "offer", whom=whom)
    return {"kind": "drive#permission", **_permission(service.find(found.id), whom)}


def _accept(service: Service, found: Spreadsheet, whom: str, call: Call) -> None:
    """By whom it was offered to."""
    if call.query.get("transferOwnership", "").lower() != "true":
        raise DriveError(403, "The transferOwnership parameter must be enabled.", "forbidden")
    if found.pending_owner != whom or call.who.email != whom:
        raise _may_not()
    service.share(found.id, whom, "owner")


def _unshare(service: Service, call: Call) -> None:
    found = _found(service, call)
    whom = _holder(found, call)
    if found.roles[whom] == "owner":
        raise _may_not()
    if whom != call.who.email:  # anybody may leave
        _found(service, call, EDITORS)
    service.share(found.id, whom, None)


# Comments


def _comments(service: Service, call: Call) -> Json:
    body, shown = _page(call, _found(service, call).comments)
    return {"kind": "drive#commentList", **body, "comments": shown}


def _comment(service: Service, call: Call) -> Json:
    found = _found(service, call, ROLES - {"reader"})
    if not call.query.get("fields"):
        raise DriveError(400, "The 'fields' parameter is required for this method.", "required")
    comment = {
        "kind": "drive#comment",
        "id": f"comment-{len(found.comments) + 1}",
        "createdTime": _time(service.clock()),
    }
    comment |= {name: call.body[name] for name in ("content", "anchor") if call.body.get(name)}
    service.change(found.id, "comment", comment=comment)
    return comment


FILES = "/drive/v3/files"
ONE = FILES + r"/(?P<file>[\w-]+)"
PERMISSION = ONE + r"/permissions/(?P<permission>[\w-]+)"
ROUTES = tuple(
    Route(f"drive.{name}", verb, re.compile(pattern), handler)
    for name, verb, pattern, handler in (
        ("files.list", "GET", FILES, _list),
        ("files.create", "POST", FILES, _create),
        ("files.get", "GET", ONE, _get),
        ("files.update", "PATCH", ONE, _update),
        ("files.delete", "DELETE", ONE, _delete),
        ("files.copy", "POST", ONE + "/copy", _copy),
        ("files.export", "GET", ONE + "/export", _export),
        ("permissions.list", "GET", ONE + "/permissions", _permissions),
        ("permissions.create", "POST", ONE + "/permissions", _share),
        ("permissions.get", "GET", PERMISSION, _get_permission),
        ("permissions.update", "PATCH", PERMISSION, _change_permission),
        ("permissions.delete", "DELETE", PERMISSION, _unshare),
        ("comments.list", "GET", ONE + "/comments", _comments),
        ("comments.create", "POST", ONE + "/comments", _comment),
        ("files.import", "PUT", r"/upload/drive/v2/files/(?P<file>[\w-]+)", _import),
    )
)


def _found(service: Service, call: Call, roles: set[str] = ROLES) -> Spreadsheet:
    """A file that is not shared is not there. Raises DriveError."""
    found = service.spreadsheets.get(call.path["file"])
    role = found.role(call.who.email) if found else None
    if found is None or role is None:
        raise DriveError(404, f"File not found: {call.path['file']}.", "notFound")
    if role not in roles:
        raise _may_not()
    return found


def _may_not() -> DriveError:
    text = "The user does not have sufficient permissions for this file."
    return DriveError(403, text, "insufficientFilePermissions")


def _check_storage(service: Service) -> None:
    if service.switches.service_account_storage == "none":
        text = "The user's Drive storage quota has been exceeded."
        raise DriveError(403, text, "storageQuotaExceeded", "usageLimits")


def _folder(call: Call) -> str:
    return str((call.body.get("parents") or [""])[0])


def _short(found: Spreadsheet) -> Json:
    return {"kind": "drive#file", "id": found.id, "name": found.title, "mimeType": MIME_TYPE}


def _file(found: Spreadsheet) -> Json:
    times = {"createdTime": _time(found.created), "modifiedTime": _time(found.modified)}
    return {**_short(found), **times, "parents": [found.folder] if found.folder else []}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _page(call: Call, items: Sequence[Any]) -> tuple[Json, list[Any]]:
    """What is before the items of a list: the token of the next page, if there is one."""
    token, size = call.query.get("pageToken") or "0", call.query.get("pageSize") or "100"
    if not token.isdigit() or not size.isdigit() or not 1 <= int(size) <= PAGE_MAX:
        raise DriveError(400, "Invalid Value", "invalid")
    start, end = int(token), int(token) + int(size)
    return {"nextPageToken": str(end)} if end < len(items) else {}, list(items[start:end])


def _conditions(query: str) -> list[tuple[str, str, str]]:
    """The parts of a search that are joined by `and`. Raises ApiError 501 for what is not served."""
    found, at = [], 0
    while at < len(query):
        match = _CONDITION.match(query, at)
        if match is None:
            raise ApiError(501, "The emulator searches by name, mimeType and parents only.")
        name, how, value, parent = match.groups()
        if parent is not None:
            found.append(("parents", "in", parent))
        elif name:
            found.append((name, how, re.sub(r"\\(.)", r"\1", value)))
        at = match.end()
    return found


def _holds(found: Spreadsheet, name: str, how: str, value: str) -> bool:
    present = {"name": found.title, "mimeType": MIME_TYPE, "parents": found.folder}.get(name)
    if present is None:
        raise ApiError(501, f"The emulator does not search by {name}.")
    return value.casefold() in present.casefold() if how == "contains" else present == value


def _whom(body: Json) -> str:
    """The key of a share in the roles of a file. Raises DriveError."""
    email, domain = str(body.get("emailAddress") or ""), str(body.get("domain") or "")
    match body.get("type"):
        case "user" if "@" in email:
            return email
        case "group" if "@" in email:
            return f"group:{email}"
        case "domain" if domain:
            return f"domain:{domain}"
        case "anyone":
            return "anyone"
    raise DriveError(400, "The permission type field is required, with whom it concerns.", "required")


def _holder(found: Spreadsheet, call: Call) -> str:
    for whom in found.roles:
        if _permission_id(whom) == call.path["permission"]:
            return whom
    raise DriveError(404, f"Permission not found: {call.path['permission']}.", "notFound")


def _permission_id(whom: str) -> str:
    if whom == "anyone":
        return "anyoneWithLink"
    return str(int.from_bytes(hashlib.sha256(whom.encode()).digest()[:8]) % 10**20).zfill(20)


def _permission(found: Spreadsheet, whom: str) -> Json:
    kind, _, value = whom.rpartition(":") if ":" in whom else ("anyone" if whom == "anyone" else "user", "", whom)
    body: Json = {"id": _permission_id(whom), "type": kind, "role": found.roles[whom]}
    if kind in {"user", "group"}:
        body |= {"emailAddress": value, "displayName": value.partition("@")[0], "deleted": False}
        body |= {"pendingOwner": found.pending_owner == whom} if kind == "user" else {}
    elif kind == "domain":
        body |= {"domain": value, "displayName": value, "allowFileDiscovery": False}
    else:
        body |= {"allowFileDiscovery": False}
    return body
