"""Everything that changes a spreadsheet, by name: what the journal writes down and applies again after a restart.

A change works on a copy, so that one that fails leaves nothing behind. Raises ApiError.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sheets_emulator import updates, values
from sheets_emulator.caller import Caller
from sheets_emulator.errors import ApiError, invalid
from sheets_emulator.model import Json, Sheet, Spreadsheet
from sheets_emulator.switches import Switches
from sheets_emulator.updates import tabs

VERSIONS_MAX = 100
COMMENTS_MAX = 10_000
Change = Callable[[Spreadsheet, Json, Caller], Json]


def apply(spreadsheet: Spreadsheet, kind: str, entry: Json, switches: Switches) -> tuple[Spreadsheet, Json]:
    """The spreadsheet afterwards, and the answer."""
    caller = Caller(entry.get("email", ""), entry.get("project", ""), switches)
    if kind == "batch":
        twin, replies = updates.run(spreadsheet, entry["requests"], caller)
        answer: Json = {"replies": replies}
    else:
        twin = spreadsheet.copy()
        answer = CHANGES[kind](twin, entry, caller)
        twin.check_cells()
    twin.modified = entry.get("at", 0.0)
    return twin, answer


def created(entry: Json) -> Spreadsheet:
    """A new file as Google makes one: the tab Sheet1 of 1000 x 26."""
    at = entry.get("at", 0.0)
    roles, folder = dict(entry["roles"]), entry.get("folder", "")
    sheets = [Sheet(0, "Sheet1")]
    return Spreadsheet(entry["id"], entry["title"], roles, sheets=sheets, created=at, modified=at, folder=folder)


def copied(source: Spreadsheet, entry: Json, switches: Switches) -> Spreadsheet:
    """A copy of a file belongs to who made it, and is shared with nobody."""
    twin = source.copy()
    twin.id, twin.title, twin.roles = entry["id"], entry["title"], dict(entry["roles"])
    twin.created = twin.modified = entry.get("at", 0.0)
    twin.folder = entry.get("folder", "")
    twin.comments, twin.versions, twin.pending_owner = [], {}, ""
    if switches.metadata_in_a_copy == "dropped":
        twin.metadata = {}
    return twin


def _values(twin: Spreadsheet, entry: Json, caller: Caller) -> Json:
    change = entry["change"]
    caller = Caller(change.get("email", caller.email), caller.project, caller.switches)
    match change["verb"]:
        case "update":
            return values.update(twin, change["range"], change["body"], change["option"], caller)
        case "append":
            return values.append(twin, change["range"], change["body"], change["option"], change["insert"], caller)
        case "clear":
            return {"cleared": _each("range", change["ranges"], lambda text: values.clear(twin, text, caller))}
    update = lambda each: values.update(twin, each.get("range", ""), each, change["option"], caller)  # noqa: E731
    return {"responses": _each("data", change["data"], update)}


def _each(name: str, given: list[Any], work: Callable[[Any], Any]) -> list[Any]:
    """Each in its turn; the first that fails is named where there may be several."""
    done = []
    for index, each in enumerate(given):
        try:
            done.append(work(each))
        except ApiError as error:
            raise ApiError(error.code, f"Invalid {name}[{index}]: {error.message}", error.details) from None
    return done


def _share(twin: Spreadsheet, entry: Json, caller: Caller) -> Json:
    """Give a role, or take it away with None."""
    whom, role = entry["whom"] if "whom" in entry else entry["email"], entry["role"]
    if role == "owner":  # a file has one
        twin.roles = {each: "writer" if held == "owner" else held for each, held in twin.roles.items()}
    if role is None:
        twin.roles.pop(whom, None)
    else:
        twin.roles[whom] = role
    if role in {None, "owner"} and twin.pending_owner == whom:
        twin.pending_owner = ""
    return {}


def _offer(twin: Spreadsheet, entry: Json, caller: Caller) -> Json:
    twin.pending_owner = entry["whom"]
    return {}


def _comment(twin: Spreadsheet, entry: Json, caller: Caller) -> Json:
    if len(twin.comments) >= COMMENTS_MAX:
        raise invalid(f"A file may have at most {COMMENTS_MAX} comments.")
    twin.comments.append(entry["comment"])
    return {}


def _name_version(twin: Spreadsheet, entry: Json, caller: Caller) -> Json:
    if len(twin.versions) >= VERSIONS_MAX:
        raise invalid(f"At most {VERSIONS_MAX} versions may be named.")
    kept = twin.copy()
    twin.versions = {**twin.versions, entry["name"]: kept}
    return {}


def _restore_version(twin: Spreadsheet, entry: Json, caller: Caller) -> Json:
    """The cells and tabs of then. What becomes of developer metadata nobody has measured: the switch says."""
    if entry["name"] not in twin.versions:
        raise invalid(f"There is no version named {entry['name']}.")
    old = twin.versions[entry["name"]].copy()
    twin.sheets, twin.named_ranges = old.sheets, old.named_ranges
    twin.properties, twin.locale, twin.time_zone = old.properties, old.locale, old.time_zone
    if caller.switches.metadata_at_a_restore != "kept":
        twin.metadata = old.metadata if caller.switches.metadata_at_a_restore == "restored" else {}
    ids = {sheet.id for sheet in twin.sheets}
    twin.metadata = {key: found for key, found in twin.metadata.items() if found.sheet is None or found.sheet in ids}
    return {}


def _import_csv(twin: Spreadsheet, entry: Json, caller: Caller) -> Json:
    """Every other tab goes, and all that stood in the first."""
    rows = entry["rows"]
    first = twin.sheets[0]
    blank = Sheet(first.id, first.title)
    blank.grow(len(rows), max(map(len, rows), default=0))
    twin.sheets, twin.metadata, twin.named_ranges = [blank], {}, {}
    if rows:
        values.update(twin, "A1", {"values": rows}, "USER_ENTERED", caller)
    return {}


def _take_tab(twin: Spreadsheet, entry: Json, caller: Caller) -> Json:
    return tabs.sheet_properties(tabs.copy_into(twin, entry["source"]))


CHANGES: Mapping[str, Change] = {
    "values": _values,
    "share": _share,
    "offer": _offer,
    "comment": _comment,
    "name_version": _name_version,
    "restore_version": _restore_version,
    "import_csv": _import_csv,
    "take_tab": _take_tab,
}
