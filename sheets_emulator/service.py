"""The API itself, without HTTP: a routed call in, the body of the answer out."""

import secrets
from collections.abc import Callable, Mapping
from threading import RLock
from typing import Any

from sheets_emulator import discovery, lookup, masks, updates, values
from sheets_emulator.a1 import Area
from sheets_emulator.auth import Account, Accounts
from sheets_emulator.discovery import Method
from sheets_emulator.errors import ApiError, forbidden, not_found, violations
from sheets_emulator.journal import Journal
from sheets_emulator.masks import Mask
from sheets_emulator.model import Sheet, Spreadsheet
from sheets_emulator.quota import Quota
from sheets_emulator.render import cell_data
from sheets_emulator.updates import Caller, sheet_properties

Body = dict[str, Any]
READERS = {"owner", "writer", "reader"}
WRITERS = {"owner", "writer"}
SERVED = {
    "spreadsheets.create",
    "spreadsheets.get",
    "spreadsheets.batchUpdate",
    "spreadsheets.values.get",
    "spreadsheets.values.batchGet",
    "spreadsheets.values.update",
    "spreadsheets.values.append",
    "spreadsheets.values.clear",
    "spreadsheets.values.batchUpdate",
    "spreadsheets.values.batchClear",
    "spreadsheets.developerMetadata.get",
    "spreadsheets.developerMetadata.search",
}
# As Google counts: a search is a read although it is a POST.
READS = {
    "spreadsheets.get",
    "spreadsheets.values.get",
    "spreadsheets.values.batchGet",
    "spreadsheets.developerMetadata.get",
    "spreadsheets.developerMetadata.search",
}


class Service:
    """Every spreadsheet, behind one lock: a call sees and leaves a whole state."""

    def __init__(self, accounts: Accounts, quota: Quota, journal: Journal, base_url: str = "") -> None:
        self.accounts = accounts
        self.quota = quota
        self.base_url = base_url
        self.spreadsheets: dict[str, Spreadsheet] = {}
        self.calls: dict[str, int] = {}
        self._journal = journal
        self._lock = RLock()
        for entry in journal.entries():
            self._replay(entry)

    # Calls

    def call(
        self, method: Method, path: Mapping[str, str], query: dict[str, list[str]], body: Any, who: Account
    ) -> Body:
        """Raises ApiError."""
        if method.id not in SERVED:
            raise ApiError(501, f"The emulator does not serve {method.id}.")
        self._check(method, query, body)
        self.quota.spend(who, write=method.id not in READS)
        with self._lock:
            self.calls[method.id] = self.calls.get(method.id, 0) + 1
            return self._answer(method, path, query, body or {}, who)

    def _answer(
        self, method: Method, path: Mapping[str, str], query: dict[str, list[str]], body: Body, who: Account
    ) -> Body:
        mask = masks.parse(query.get("fields", [""])[-1])
        if method.id == "spreadsheets.create":
            return _masked(mask, self.view(self._create(body, who), mask, query))
        spreadsheet = self._opened(path["spreadsheetId"], who, write=method.id not in READS)
        if method.id == "spreadsheets.get":
            return _masked(mask, self.view(spreadsheet, mask, query))
        if method.id == "spreadsheets.batchUpdate":
            return _masked(mask, self._batch_update(spreadsheet, body, who))
        return _masked(mask, _CALLS[method.id](self, spreadsheet, path, query, body, who))

    def _check(self, method: Method, query: Mapping[str, list[str]], body: Any) -> None:
        for name, given in query.items():
            allowed = discovery.enum_values(method, name)
            if allowed and given[-1] not in allowed:
                raise violations([(name, f"Invalid value at '{name}', \"{given[-1]}\"")])
        if method.request and (found := discovery.check(method.request, body or {})):
            raise violations(found[:20])

    def _opened(self, spreadsheet_id: str, who: Account, *, write: bool) -> Spreadsheet:
        spreadsheet = self.spreadsheets.get(spreadsheet_id)
        if spreadsheet is None:
            raise not_found()
        if spreadsheet.roles.get(who.email) not in (WRITERS if write else READERS):
            raise forbidden()
        return spreadsheet

    # Changes

    def create(self, title: str, roles: Mapping[str, str], spreadsheet_id: str = "") -> Spreadsheet:
        """A new file as Google makes one: the tab Sheet1 of 1000 x 26."""
        made = Spreadsheet(spreadsheet_id or secrets.token_urlsafe(33), title, dict(roles), sheets=[Sheet(0, "Sheet1")])
        with self._lock:
            self._journal.write("create", id=made.id, title=title, roles=dict(roles))
            self.spreadsheets[made.id] = made
        return made

    def share(self, spreadsheet_id: str, email: str, role: str | None) -> None:
        """Give a role, or take it away with None."""
        with self._lock:
            self._journal.write("share", id=spreadsheet_id, email=email, role=role)
            self._share(spreadsheet_id, email, role)

    def delete(self, spreadsheet_id: str) -> None:
        with self._lock:
            self._journal.write("delete", id=spreadsheet_id)
            self.spreadsheets.pop(spreadsheet_id, None)

    def edit(self, spreadsheet_id: str, *requests: Body) -> None:
        """What a person does in the browser: the same updates, without quota, as the file's owner."""
        with self._lock:
            spreadsheet = self.spreadsheets[spreadsheet_id]
            owner = next(email for email, role in spreadsheet.roles.items() if role == "owner")
            self._apply(spreadsheet, list(requests), Caller(owner, "people"))

    def _create(self, body: Body, who: Account) -> Spreadsheet:
        properties = body.get("properties") or {}
        made = self.create(properties.get("title") or "Untitled spreadsheet", {who.email: "owner"})
        wanted = [sheet.get("properties") or {} for sheet in body.get("sheets") or []]
        if wanted:
            requests: list[Body] = [
                {"addSheet": {"properties": {"index": index, **each}}} for index, each in enumerate(wanted)
            ]
            first = {"updateSheetProperties": {"properties": {"sheetId": 0, "title": "\u0000"}, "fields": "title"}}
            self._apply(made, [first, *requests, {"deleteSheet": {"sheetId": 0}}], Caller(who.email, who.project))
        return self.spreadsheets[made.id]

    def _batch_update(self, spreadsheet: Spreadsheet, body: Body, who: Account) -> Body:
        replies = self._apply(spreadsheet, body.get("requests") or [], Caller(who.email, who.project))
        answer: Body = {"spreadsheetId": spreadsheet.id, "replies": replies}
        if body.get("includeSpreadsheetInResponse"):
            query = {"includeGridData": ["true"]} if body.get("responseIncludeGridData") else {}
            answer["updatedSpreadsheet"] = self.view(self.spreadsheets[spreadsheet.id], {}, query)
        return answer

    def _apply(self, spreadsheet: Spreadsheet, requests: list[Body], caller: Caller) -> list[Body]:
        changed, replies = updates.run(spreadsheet, requests, caller)
        entry = {"id": spreadsheet.id, "email": caller.email, "project": caller.project, "requests": requests}
        self._journal.write("batch", **entry)
        self.spreadsheets[spreadsheet.id] = changed
        return replies

    def change_values(self, spreadsheet: Spreadsheet, entry: Body) -> Body:
        twin = spreadsheet.copy()
        answer = _change(twin, entry)
        twin.check_size()
        self._journal.write("values", id=spreadsheet.id, change=entry)
        self.spreadsheets[spreadsheet.id] = twin
        return answer

    def _replay(self, entry: Body) -> None:
        match entry["kind"]:
            case "create":
                made = Spreadsheet(entry["id"], entry["title"], dict(entry["roles"]), sheets=[Sheet(0, "Sheet1")])
                self.spreadsheets[made.id] = made
            case "share":
                self._share(entry["id"], entry["email"], entry["role"])
            case "delete":
                self.spreadsheets.pop(entry["id"], None)
            case "batch":
                caller = Caller(entry["email"], entry["project"])
                changed, _ = updates.run(self.spreadsheets[entry["id"]], entry["requests"], caller)
                self.spreadsheets[changed.id] = changed
            case "values":
                twin = self.spreadsheets[entry["id"]].copy()
                _change(twin, entry["change"])
                self.spreadsheets[twin.id] = twin

    def _share(self, spreadsheet_id: str, email: str, role: str | None) -> None:
        roles = self.spreadsheets[spreadsheet_id].roles
        if role is None:
            roles.pop(email, None)
        else:
            roles[email] = role

    # Views

    def view(self, spreadsheet: Spreadsheet, mask: Mask, query: Mapping[str, list[str]]) -> Body:
        """A Spreadsheet resource; grid data only where it is asked for."""
        ranges = [values.locate(spreadsheet, text) for text in query.get("ranges", [])]
        grid = query.get("includeGridData", ["false"])[-1] == "true"
        grid = grid or (bool(mask) and "*" not in mask and masks.wants(mask, "sheets", "data"))
        chosen = [sheet for sheet in spreadsheet.sheets if not ranges or any(sheet is found for found, _ in ranges)]
        body: Body = {
            "spreadsheetId": spreadsheet.id,
            "properties": {
                "title": spreadsheet.title,
                "locale": spreadsheet.locale,
                "autoRecalc": "ON_CHANGE",
                "timeZone": spreadsheet.time_zone,
            },
            "sheets": [_sheet(spreadsheet, sheet, grid, ranges, mask) for sheet in chosen],
            "spreadsheetUrl": f"{self.base_url}/spreadsheets/{spreadsheet.id}",
        }
        metadata = [entry.as_json() for entry in spreadsheet.metadata.values() if entry.sheet is None]
        return body | ({"developerMetadata": metadata} if metadata else {})


def _sheet(spreadsheet: Spreadsheet, sheet: Sheet, grid: bool, ranges: list[tuple[Sheet, Area]], mask: Mask) -> Body:
    body: Body = {"properties": sheet_properties(sheet)}
    mine = [entry for entry in spreadsheet.metadata.values() if entry.sheet == sheet.id]
    if on_tab := [entry.as_json() for entry in mine if entry.dimension is None]:
        body["developerMetadata"] = on_tab
    if sheet.protections:
        body["protectedRanges"] = list(sheet.protections.values())
    if sheet.filter:
        body["basicFilter"] = sheet.filter
    if grid:
        areas = [area for found, area in ranges if found is sheet] or [Area()]
        body["data"] = [_grid(spreadsheet, sheet, area, mask) for area in areas]
    return body


def _grid(spreadsheet: Spreadsheet, sheet: Sheet, area: Area, mask: Mask) -> Body:
    row, column, end_row, end_column = values.bounded(sheet, area)
    # Cells that the mask would drop again are not rendered: a tab may have millions.
    lines = sheet.rows[row : min(end_row, len(sheet.rows))] if masks.wants(mask, "sheets", "data", "rowData") else []
    data: Body = {
        "rowData": [{"values": [cell_data(cell) for cell in line[column:end_column]]} for line in lines],
        "columnMetadata": [
            {**sheet.column_sizes.get(index, {"pixelSize": 100}), **_tags(spreadsheet, sheet, index)}
            for index in range(column, end_column)
        ],
    }
    return data | ({"startRow": row} if row else {}) | ({"startColumn": column} if column else {})


def _tags(spreadsheet: Spreadsheet, sheet: Sheet, index: int) -> Body:
    found = [entry.as_json() for entry in spreadsheet.on(sheet.id, "COLUMNS") if entry.start == index]
    return {"developerMetadata": found} if found else {}


def _change(twin: Spreadsheet, entry: Body) -> Body:
    email = entry["email"]
    match entry["verb"]:
        case "update":
            return values.update(twin, entry["range"], entry["body"], entry["option"], email)
        case "append":
            return values.append(twin, entry["range"], entry["body"], entry["option"], entry["insert"], email)
        case "clear":
            return {"cleared": [values.clear(twin, text, email) for text in entry["ranges"]]}
    written = [values.update(twin, each["range"], each, entry["option"], email) for each in entry["data"]]
    return {"spreadsheetId": twin.id, "responses": written} | _totals(written)


def _totals(written: list[Body]) -> Body:
    totals = {
        "totalUpdatedRows": sum(each.get("updatedRows", 0) for each in written),
        "totalUpdatedColumns": sum(each.get("updatedColumns", 0) for each in written),
        "totalUpdatedCells": sum(each.get("updatedCells", 0) for each in written),
        "totalUpdatedSheets": len({each["updatedRange"].rpartition("!")[0] for each in written}),
    }
    return {name: count for name, count in totals.items() if count}


Call = Callable[[Service, Spreadsheet, Mapping[str, str], dict[str, list[str]], Body, Account], Body]


def _flat(query: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: given[-1] for name, given in query.items()}


def _values_get(service: Service, found: Spreadsheet, path: Any, query: Any, body: Body, who: Account) -> Body:
    return values.read(found, path["range"], _flat(query))


def _values_batch_get(service: Service, found: Spreadsheet, path: Any, query: Any, body: Body, who: Account) -> Body:
    ranges = [values.read(found, text, _flat(query)) for text in query.get("ranges", [])]
    return {"spreadsheetId": found.id, "valueRanges": ranges}


def _values_update(service: Service, found: Spreadsheet, path: Any, query: Any, body: Body, who: Account) -> Body:
    option = values.option_of(_flat(query).get("valueInputOption"))
    entry = {"verb": "update", "range": path["range"], "body": body, "option": option, "email": who.email}
    return service.change_values(found, entry)


def _values_append(service: Service, found: Spreadsheet, path: Any, query: Any, body: Body, who: Account) -> Body:
    flat = _flat(query)
    option = values.option_of(flat.get("valueInputOption"))
    insert = flat.get("insertDataOption", "OVERWRITE")
    entry = {"verb": "append", "range": path["range"], "body": body, "option": option, "insert": insert}
    return service.change_values(found, {**entry, "email": who.email})


def _values_clear(service: Service, found: Spreadsheet, path: Any, query: Any, body: Body, who: Account) -> Body:
    entry = {"verb": "clear", "ranges": [path["range"]], "email": who.email}
    [cleared] = service.change_values(found, entry)["cleared"]
    return dict(cleared)


def _values_batch_clear(service: Service, found: Spreadsheet, path: Any, query: Any, body: Body, who: Account) -> Body:
    entry = {"verb": "clear", "ranges": body.get("ranges") or [], "email": who.email}
    cleared = service.change_values(found, entry)["cleared"]
    return {"spreadsheetId": found.id, "clearedRanges": [each["clearedRange"] for each in cleared]}


def _values_batch_update(service: Service, found: Spreadsheet, path: Any, query: Any, body: Body, who: Account) -> Body:
    option = values.option_of(body.get("valueInputOption"))
    entry = {"verb": "batch", "data": body.get("data") or [], "option": option, "email": who.email}
    return service.change_values(found, entry)


def _metadata_get(service: Service, found: Spreadsheet, path: Any, query: Any, body: Body, who: Account) -> Body:
    text = path["metadataId"]
    entry = found.metadata.get(int(text)) if text.lstrip("-").isdigit() else None
    if entry is None or not lookup.visible(entry, who.project):
        raise not_found()
    return entry.as_json()


def _metadata_search(service: Service, found: Spreadsheet, path: Any, query: Any, body: Body, who: Account) -> Body:
    filters = body.get("dataFilters") or []
    matched = [
        {"developerMetadata": entry.as_json(), "dataFilters": filters}
        for entry in lookup.matching(found, filters, who.project)
    ]
    return {"matchedDeveloperMetadata": matched} if matched else {}


_CALLS: Mapping[str, Call] = {
    "spreadsheets.values.get": _values_get,
    "spreadsheets.values.batchGet": _values_batch_get,
    "spreadsheets.values.update": _values_update,
    "spreadsheets.values.append": _values_append,
    "spreadsheets.values.clear": _values_clear,
    "spreadsheets.values.batchClear": _values_batch_clear,
    "spreadsheets.values.batchUpdate": _values_batch_update,
    "spreadsheets.developerMetadata.get": _metadata_get,
    "spreadsheets.developerMetadata.search": _metadata_search,
}


def _masked(mask: Mask, body: Body) -> Body:
    kept: Body = masks.apply(mask, body)
    return kept
