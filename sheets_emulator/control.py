"""The control endpoints: what a test or a person does to the emulator itself, as JSON below /control.

A page in a browser cannot reach them by accident: a body must say that it is JSON, which needs a permission that the
emulator gives nobody.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sheets_emulator import people
from sheets_emulator.errors import ApiError, invalid
from sheets_emulator.faults import Fault, Target
from sheets_emulator.model import Json

if TYPE_CHECKING:
    from sheets_emulator.emulator import SheetsEmulator

ROOT = "/control"


def call(emulator: "SheetsEmulator", verb: str, path: str, query: Mapping[str, str], body: Any) -> Json:
    """Raises ApiError."""
    name, _, rest = path.removeprefix(ROOT).strip("/").partition("/")
    if verb == "POST" and name == "people":
        spreadsheet_id, _, action = rest.partition("/")
        people.do(emulator.service, spreadsheet_id, action, body)
        return {}
    if (verb, name) not in ENDPOINTS or rest:
        known = ", ".join(sorted(f"{verb} {ROOT}/{name}" for verb, name in ENDPOINTS))
        raise ApiError(404, f"There is no such endpoint. There are: {known}, POST {ROOT}/people/SPREADSHEET/ACTION.")
    try:
        return ENDPOINTS[verb, name](emulator, {**query, **body})
    except KeyError as error:
        raise invalid(f"{error.args[0]} is missing.") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise invalid(str(error)) from None


def _calls(emulator: "SheetsEmulator", given: Json) -> Json:
    return {"calls": emulator.log.as_json(int(given.get("after", 0)))}


def _forget_calls(emulator: "SheetsEmulator", given: Json) -> Json:
    emulator.log.clear()
    return {}


def _plan(emulator: "SheetsEmulator", given: Json) -> Json:
    """`times` repeats the list; `late_seconds` and `hang_seconds` say how long those take."""
    faults = [Fault(each) for each in given["faults"]] * int(given.get("times", 1))
    _durations(emulator, given)
    emulator.faults.plan(given.get("method", "*"), *faults, path=given.get("path", ""), kind=given.get("kind", ""))
    return {"planned": len(faults)}


def _chance(emulator: "SheetsEmulator", given: Json) -> Json:
    rates = {Fault(name): float(rate) for name, rate in given["rates"].items()}
    _durations(emulator, given)
    target = Target(given.get("method", "*"), given.get("path", ""), given.get("kind", ""))
    emulator.faults.at_random(int(given["seed"]), rates, target)
    return {}


def _refuse(emulator: "SheetsEmulator", given: Json) -> Json:
    emulator.faults.refuse(str(given["text"]))
    return {}


def _durations(emulator: "SheetsEmulator", given: Json) -> None:
    emulator.faults.late_seconds = float(given.get("late_seconds", emulator.faults.late_seconds))
    emulator.faults.hang_seconds = float(given.get("hang_seconds", emulator.faults.hang_seconds))


def _no_faults(emulator: "SheetsEmulator", given: Json) -> Json:
    emulator.faults.clear()
    return {}


def _switches(emulator: "SheetsEmulator", given: Json) -> Json:
    return emulator.service.switches.answers()


def _switch(emulator: "SheetsEmulator", given: Json) -> Json:
    emulator.service.switch(emulator.service.switches.changed(given))
    return emulator.service.switches.answers()


def _advance(emulator: "SheetsEmulator", given: Json) -> Json:
    emulator.clock.advance(float(given["advance"]))
    return _now(emulator, given)


def _now(emulator: "SheetsEmulator", given: Json) -> Json:
    return {"now": emulator.clock(), "speed": emulator.clock.speed}


def _quota(emulator: "SheetsEmulator", given: Json) -> Json:
    emulator.quota.scale = float(given["scale"])
    return {"scale": emulator.quota.scale}


def _create(emulator: "SheetsEmulator", given: Json) -> Json:
    return {"id": emulator.create(given["title"], given.get("roles", {}))}


def _listed(emulator: "SheetsEmulator", given: Json) -> Json:
    return {"spreadsheets": {found.id: found.title for found in list(emulator.service.spreadsheets.values())}}


def _account(emulator: "SheetsEmulator", given: Json) -> Json:
    """A new service account: its JSON key."""
    return emulator.new_account(given.get("email", ""), **({"project": given["project"]} if "project" in given else {}))


def _forget_tokens(emulator: "SheetsEmulator", given: Json) -> Json:
    emulator.accounts.forget_tokens()
    return {}


ENDPOINTS: Mapping[tuple[str, str], Callable[["SheetsEmulator", Json], Json]] = {
    ("GET", "calls"): _calls,
    ("DELETE", "calls"): _forget_calls,
    ("POST", "faults"): _plan,
    ("POST", "chance"): _chance,
    ("POST", "refusals"): _refuse,
    ("DELETE", "faults"): _no_faults,
    ("GET", "switches"): _switches,
    ("POST", "switches"): _switch,
    ("GET", "clock"): _now,
    ("POST", "clock"): _advance,
    ("POST", "quota"): _quota,
    ("GET", "spreadsheets"): _listed,
    ("POST", "spreadsheets"): _create,
    ("POST", "accounts"): _account,
    ("DELETE", "tokens"): _forget_tokens,
}
