"""The methods of the Sheets API: a routed call in, the body of its answer out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sheets_emulator import discovery, lookup, masks, values, views
from sheets_emulator.auth import Account
from sheets_emulator.discovery import Method
from sheets_emulator.errors import ApiError, forbidden, not_found, violations
from sheets_emulator.masks import Mask
from sheets_emulator.model import Json, Spreadsheet
from sheets_emulator.service import Service

READERS = {"owner", "writer", "commenter", "reader"}
WRITERS = {"owner", "writer"}
VIOLATIONS_MAX = 20


@dataclass(frozen=True, slots=True)
class Call:
    method: Method
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: Any
    who: Account

    @property
    def options(self) -> dict[str, str]:
        """The query with the last of each parameter."""
        return {name: given[-1] for name, given in self.query.items()}

    @property
    def mask(self) -> Mask:
        return masks.parse(self.options.get("fields", ""))

    def flag(self, name: str) -> bool:
        return self.options.get(name, "").lower() == "true"


Answer = Callable[[Service, Spreadsheet, Call], Json]


def answer(service: Service, call: Call) -> Json:
    """Raises ApiError."""
    if call.method.id != CREATE and call.method.id not in METHODS:
        raise ApiError(501, f"The emulator does not serve {call.method.id}.")
    _check(call)
    mask = call.mask
    writes = call.method.id not in READS
    service.quota.spend(call.who, write=writes)
    service.count(call.method.id)
    with service.lock:
        if call.method.id == CREATE:
            body = _create(service, call)
        else:
            found = _opened(service, call, writes)
            body = METHODS[call.method.id](service, found, call)
    kept: Json = masks.apply(mask, body)
    return kept


def kinds(body: Any) -> list[str]:
    """The kinds of update in a batch: faults may be planned for one."""
    requests = body.get("requests") if isinstance(body, dict) else None
    found = (name for request in requests or () if isinstance(request, dict) for name in request)
    return list(dict.fromkeys(found))


def _check(call: Call) -> None:
    for name, given in call.query.items():
        if name not in call.method.query and name not in discovery.common_parameters():
            text = f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.'
            raise violations([("", f"{text} Field '{name}' could not be found in request message.")])
        allowed = discovery.enum_values(call.method, name)
        if allowed and given[-1] not in allowed:
            raise violations([(name, f"Invalid value at '{name}', \"{given[-1]}\"")])
    if call.method.request and (found := discovery.check(call.method.request, call.body or {})):
        raise violations(found[:VIOLATIONS_MAX])


def _opened(service: Service, call: Call, writes: bool) -> Spreadsheet:
    found = service.find(call.path["spreadsheetId"])
    if found.role(call.who.email) not in (WRITERS if writes else READERS):
        raise forbidden()
    return found


# Spreadsheets


def _create(service: Service, call: Call) -> Json:
    """Service accounts have no room of their own in Drive, so that Google lets them make no file."""
    if service.switches.service_account_storage == "none":
        raise forbidden()
    properties = call.body.get("properties") or {}
    title = properties.get("title") or "Untitled spreadsheet"
    made = service.create(title, {call.who.email: "owner"})
    wanted = [sheet.get("properties") or {} for sheet in call.body.get("sheets") or []]
    if wanted:
        requests: list[Json] = [{"addSheet": {"properties": {"index": at, **each}}} for at, each in enumerate(wanted)]
        # The tab that is there from the start gives way to those that were asked for, whatever their titles and ids.
        aside: Json = {"duplicateSheet": {"newSheetId": 2**31 - 1, "newSheetName": "\u0000"}}
        steps: list[Json] = [aside, {"deleteSheet": {"sheetId": 0}}, *requests, {"deleteSheet": {"sheetId": 2**31 - 1}}]
        _batch(service, made, call, steps)
    return _view(service, service.find(made.id), call, call.mask)


def _get(service: Service, found: Spreadsheet, call: Call) -> Json:
    return _view(service, found, call, call.mask)


def _view(service: Service, found: Spreadsheet, call: Call, mask: Mask) -> Json:
    grid, ranges = call.flag("includeGridData"), call.query.get("ranges", [])
    return views.spreadsheet_body(found, mask, ranges, grid, service.base_url, call.who.email)


def _batch(service: Service, found: Spreadsheet, call: Call, requests: list[Json]) -> list[Json]:
    entry = {"email": call.who.email, "project": call.who.project, "requests": requests}
    replies: list[Json] = service.change(found.id, "batch", **entry)["replies"]
    return replies


def _batch_update(service: Service, found: Spreadsheet, call: Call) -> Json:
    replies = _batch(service, found, call, call.body.get("requests") or [])
    body: Json = {"spreadsheetId": found.id, "replies": replies}
    mask = call.mask
    if call.body.get("includeSpreadsheetInResponse") and masks.wants(mask, "updatedSpreadsheet"):
        inner = {} if not mask or "*" in mask else mask["updatedSpreadsheet"]
        grid = call.body.get("responseIncludeGridData") or service.switches.included_spreadsheet == "with_cells"
        ranges = call.body.get("responseRanges") or []
        found = service.find(found.id)
        shown = views.spreadsheet_body(found, inner, ranges, bool(grid), service.base_url, call.who.email)
        body["updatedSpreadsheet"] = shown
    return body


def _copy_tab(service: Service, found: Spreadsheet, call: Call) -> Json:
    target = service.find(call.body.get("destinationSpreadsheetId") or "")
    if target.role(call.who.email) not in WRITERS:
        raise forbidden()
    sheet_id = call.path["sheetId"]
    sheet = found.sheet(int(sheet_id) if sheet_id.isdigit() else -1)
    return service.change(target.id, "take_tab", email=call.who.email, file=found.id, sheet=sheet.id)


# Values


def _values_get(service: Service, found: Spreadsheet, call: Call) -> Json:
    return values.read(found, call.path["range"], call.options)


def _values_batch_get(service: Service, found: Spreadsheet, call: Call) -> Json:
    ranges = [values.read(found, text, call.options) for text in call.query.get("ranges", [])]
    return {"spreadsheetId": found.id, "valueRanges": ranges}


def _change(service: Service, found: Spreadsheet, call: Call, **change: Any) -> Json:
    change["email"] = call.who.email
    return service.change(found.id, "values", change=change)


def _values_update(service: Service, found: Spreadsheet, call: Call) -> Json:
    option = values.option_of(call.options.get("valueInputOption"))
    made = _change(service, found, call, verb="update", range=call.path["range"], body=call.body, option=option)
    return values.echo(service.find(found.id), made, call.options)


def _values_append(service: Service, found: Spreadsheet, call: Call) -> Json:
    option = values.option_of(call.options.get("valueInputOption"))
    insert = call.options.get("insertDataOption", "OVERWRITE")
    change = {"verb": "append", "range": call.path["range"], "body": call.body, "option": option, "insert": insert}
    made = _change(service, found, call, **change)
    return {**made, "updates": values.echo(service.find(found.id), made["updates"], call.options)}


def _values_clear(service: Service, found: Spreadsheet, call: Call) -> Json:
    [cleared] = _change(service, found, call, verb="clear", ranges=[call.path["range"]])["cleared"]
    return {"spreadsheetId": found.id, "clearedRange": cleared}


def _values_batch_clear(service: Service, found: Spreadsheet, call: Call) -> Json:
    ranges = call.body.get("ranges") or []
    cleared = _change(service, found, call, verb="clear", ranges=ranges)["cleared"] if ranges else []
    return {"spreadsheetId": found.id, "clearedRanges": cleared}


def _values_batch_update(service: Service, found: Spreadsheet, call: Call) -> Json:
    option = values.option_of(call.body.get("valueInputOption"))
    change = {"verb": "batch", "data": call.body.get("data") or [], "option": option}
    written = _change(service, found, call, **change)["responses"]
    found = service.find(found.id)
    shown = [values.echo(found, each, call.body) for each in written]
    return {"spreadsheetId": found.id, **_totals(written), "responses": shown}


def _totals(written: list[Json]) -> Json:
    totals = {
        "totalUpdatedRows": sum(each.get("updatedRows", 0) for each in written),
        "totalUpdatedColumns": sum(each.get("updatedColumns", 0) for each in written),
        "totalUpdatedCells": sum(each.get("updatedCells", 0) for each in written),
        "totalUpdatedSheets": len({each["updatedRange"].rpartition("!")[0] for each in written}),
    }
    return {name: count for name, count in totals.items() if count}


# Developer metadata


def _metadata_get(service: Service, found: Spreadsheet, call: Call) -> Json:
    text = call.path["metadataId"]
    entry = found.metadata.get(int(text)) if text.lstrip("-").isdigit() else None
    if entry is None or not lookup.visible(entry, call.who.project):
        raise not_found()
    return entry.as_json()


def _metadata_search(service: Service, found: Spreadsheet, call: Call) -> Json:
    filters = call.body.get("dataFilters") or []
    matched = [
        {"developerMetadata": entry.as_json(), "dataFilters": filters}
        for entry in lookup.matching(found, filters, call.who.project)
    ]
    return {"matchedDeveloperMetadata": matched} if matched else {}


CREATE = "spreadsheets.create"
METHODS: Mapping[str, Answer] = {
    "spreadsheets.get": _get,
    "spreadsheets.batchUpdate": _batch_update,
    "spreadsheets.sheets.copyTo": _copy_tab,
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
# As Google counts: a search is a read although it is a POST.
READS = {
    "spreadsheets.get",
    "spreadsheets.values.get",
    "spreadsheets.values.batchGet",
    "spreadsheets.developerMetadata.get",
    "spreadsheets.developerMetadata.search",
}
