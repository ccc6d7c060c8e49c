"""spreadsheets.batchUpdate: each kind of request as a function on a copy of the spreadsheet.

A function gets the spreadsheet, the request and the caller; it returns its reply and raises ApiError 400. A kind that
is not in the table is answered with an honest 501.
"""

from collections.abc import Mapping

from sheets_emulator.caller import Caller
from sheets_emulator.errors import ApiError, invalid
from sheets_emulator.model import Spreadsheet
from sheets_emulator.updates import (
    cells,
    dimensions,
    filters,
    groups,
    merges,
    metadata,
    named,
    paste,
    protections,
    tabs,
)
from sheets_emulator.updates.shared import Reply, Request, Update

__all__ = ["REQUESTS_MAX", "UPDATES", "Caller", "run"]

REQUESTS_MAX = 100_000

UPDATES: Mapping[str, Update] = {
    "addDimensionGroup": groups.add,
    "addNamedRange": named.add,
    "addProtectedRange": protections.add,
    "addSheet": tabs.add,
    "appendCells": cells.append,
    "appendDimension": dimensions.append,
    "autoResizeDimensions": dimensions.auto_resize,
    "clearBasicFilter": filters.clear,
    "copyPaste": paste.copy,
    "createDeveloperMetadata": metadata.create,
    "cutPaste": paste.cut,
    "deleteDeveloperMetadata": metadata.delete,
    "deleteDimension": dimensions.delete,
    "deleteDimensionGroup": groups.delete,
    "deleteNamedRange": named.delete,
    "deleteProtectedRange": protections.delete,
    "deleteSheet": tabs.delete,
    "duplicateSheet": tabs.duplicate,
    "insertDimension": dimensions.insert,
    "mergeCells": merges.merge,
    "moveDimension": dimensions.move,
    "repeatCell": cells.repeat,
    "setBasicFilter": filters.set_basic,
    "setDataValidation": cells.set_validation,
    "sortRange": dimensions.sort,
    "unmergeCells": merges.unmerge,
    "updateCells": cells.update,
    "updateDeveloperMetadata": metadata.update,
    "updateDimensionProperties": dimensions.update,
    "updateNamedRange": named.update,
    "updateProtectedRange": protections.update,
    "updateSheetProperties": tabs.update,
    "updateSpreadsheetProperties": tabs.update_spreadsheet,
}


def run(spreadsheet: Spreadsheet, requests: list[Request], caller: Caller) -> tuple[Spreadsheet, list[Reply]]:
    """All of the requests in order on a copy, or none: the first that fails names itself. Raises ApiError."""
    if not requests:
        raise invalid("Must specify at least one request.")
    if len(requests) > REQUESTS_MAX:
        raise invalid(f"At most {REQUESTS_MAX} requests are allowed.")
    twin = spreadsheet.copy()
    replies: list[Reply] = []
    for index, request in enumerate(requests):
        kind = kind_of(index, request)
        try:
            replies.append(UPDATES[kind](twin, request[kind], caller) or {})
        except ApiError as error:
            if error.code in {400, 403}:
                message = f"Invalid requests[{index}].{kind}: {error.message}"
                raise ApiError(error.code, message, error.details) from None
            raise
        # Checked as it grows, so that no request works on more cells than a spreadsheet holds.
        twin.check_cells()
    twin.check_metadata()
    return twin, replies


def kind_of(index: int, request: Request) -> str:
    """Raises ApiError 400, and 501 for a kind that is not served."""
    kinds = [kind for kind, value in request.items() if value is not None]
    if len(kinds) != 1:
        raise invalid(f"Invalid requests[{index}]: exactly one kind of request must be set.")
    if kinds[0] not in UPDATES:
        raise ApiError(501, f"The emulator does not serve {kinds[0]}.")
    return kinds[0]
