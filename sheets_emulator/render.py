"""Values and cells as the API shows and takes them."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sheets_emulator import masks
from sheets_emulator.errors import ApiError, invalid
from sheets_emulator.masks import Mask
from sheets_emulator.model import (
    CELL_TEXT_MAX,
    Cell,
    Formula,
    Rich,
    Value,
    check_value,
    plain,
    rich,
    value_of,
    with_value,
)

EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - serial days are local to the spreadsheet
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
MOMENTS = (
    ("%Y-%m-%d", "DATE", "yyyy-mm-dd"),
    ("%m/%d/%Y", "DATE", "m/d/yyyy"),
    ("%Y-%m-%d %H:%M:%S", "DATE_TIME", "yyyy-mm-dd h:mm:ss"),
    ("%Y-%m-%d %H:%M", "DATE_TIME", "yyyy-mm-dd h:mm"),
    ("%m/%d/%Y %H:%M:%S", "DATE_TIME", "m/d/yyyy h:mm:ss"),
    ("%H:%M:%S", "TIME", "h:mm:ss"),
    ("%H:%M", "TIME", "h:mm"),
)
WRITABLE = {"userEnteredValue", "userEnteredFormat", "note", "dataValidation"}
UNSERVED = {"textFormatRuns", "pivotTable", "dataSourceTable", "dataSourceFormula", "chipRuns"}


def from_extended(extended: Mapping[str, Any] | None) -> Value:
    """An ExtendedValue, typed by its member. Raises ApiError 400."""
    if not extended:
        return None
    if len(extended) == 1 and isinstance(text := extended.get("stringValue"), str) and len(text) <= CELL_TEXT_MAX:
        return text or None
    members = {name: value for name, value in extended.items() if value is not None}
    if not members:
        return None
    if len(members) > 1:
        raise invalid("Only one member of ExtendedValue may be set.")
    [(name, value)] = members.items()
    if name == "errorValue":
        raise invalid("An error value cannot be entered.")
    made: Value = Formula(value) if name == "formulaValue" else float(value) if name == "numberValue" else value
    check_value(made)
    return made


def to_extended(value: Value) -> dict[str, Any]:
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case float() | int():
            return {"numberValue": _plain(value)}
        case Formula(text):
            return {"formulaValue": text}
    return {"stringValue": value}


def from_cell_data(data: Mapping[str, Any], mask: Mask, present: Cell = None) -> Cell:
    """A CellData as far as the mask says; the rest of the present cell stays. Raises ApiError 400, 501."""
    every = "*" in mask
    wanted = WRITABLE if every else mask.keys()
    if strange := (wanted - WRITABLE) | (data.keys() & UNSERVED if every else set()):
        raise ApiError(501, f"The emulator does not serve the cell property {min(strange)}.")
    old = rich(present)
    value, shape, note, rule = old.value, old.format, old.note, old.rule
    if "userEnteredValue" in wanted:
        value = from_extended(data.get("userEnteredValue"))
    if "userEnteredFormat" in wanted:
        inner = {} if every else mask["userEnteredFormat"]
        given = data.get("userEnteredFormat") or {}
        shape = masks.merge(shape, given, inner) if inner else masks.clean(given)
    if "note" in wanted:
        note = data.get("note") or ""
    if "dataValidation" in wanted:
        rule = masks.clean(data.get("dataValidation"))
    return plain(Rich(value, shape, note, rule))


def entered(raw: Any, option: str, present: Cell = None) -> Cell:
    """What a values.* call puts into a cell, whose format and note stay. RAW keeps text as text."""
    if isinstance(raw, bool):
        return with_value(present, raw)
    if isinstance(raw, int | float):
        return with_value(present, float(raw))
    if not isinstance(raw, str):
        raise invalid(f"Invalid values: a cell must be a text, a number or a boolean, not {type(raw).__name__}.")
    check_value(raw)
    made = raw if option == "RAW" else typed(raw)
    if isinstance(made, Rich):
        old = rich(present)
        return Rich(made.value, {**made.format, **old.format}, old.note, old.rule)
    return with_value(present, made)


def shown(cell: Cell, render: str, dates: str) -> Any:
    """A cell by ValueRenderOption and DateTimeRenderOption."""
    value = value_of(cell)
    if value is None:
        return ""
    shape = cell.format if isinstance(cell, Rich) else {}
    if isinstance(value, Formula):
        return value.text
    if isinstance(value, bool):
        return value if render != "FORMATTED_VALUE" else str(value).upper()
    if isinstance(value, float):
        kind = shape.get("numberFormat", {}).get("type", "")
        as_text = render == "FORMATTED_VALUE" or (dates == "FORMATTED_STRING" and kind in {"DATE", "DATE_TIME", "TIME"})
        return formatted(value, shape) if as_text else _plain(value)
    return value


def formatted(value: float, shape: Mapping[str, Any]) -> str:
    """A number as people see it: by the kind of its format, in the pattern where that is one of ours."""
    wanted = shape.get("numberFormat", {})
    pattern = wanted.get("pattern") or ""
    match wanted.get("type", ""):
        case "DATE" | "DATE_TIME" | "TIME" as kind:
            usual = {"DATE": "%Y-%m-%d", "DATE_TIME": "%Y-%m-%d %H:%M:%S", "TIME": "%H:%M:%S"}[kind]
            strict = next((given for given, _, known in MOMENTS if known == pattern), usual)
            return (EPOCH + timedelta(seconds=round(value * 86_400))).strftime(strict)
        case "PERCENT":
            return f"{_plain(round(value * 100, 10))}%"
        case "NUMBER" if pattern.startswith("#,##0"):
            return f"{_plain(value):,}"
    return str(_plain(value))


def cell_data(cell: Cell) -> dict[str, Any]:
    found = rich(cell)
    data: dict[str, Any] = {}
    if found.value is not None:
        data["userEnteredValue"] = to_extended(found.value)
        data["effectiveValue"] = to_extended(found.value.text if isinstance(found.value, Formula) else found.value)
        data["formattedValue"] = str(shown(cell, "FORMATTED_VALUE", "FORMATTED_STRING"))
    if found.format:
        data["userEnteredFormat"] = data["effectiveFormat"] = found.format
    if found.note:
        data["note"] = found.note
    if found.rule:
        data["dataValidation"] = found.rule
    return data


def typed(text: str) -> Value | Rich:
    """A text as if somebody typed it: formulas, numbers, percentages, booleans, dates and times."""
    if text.startswith("=") and len(text) > 1:
        return Formula(text)
    if text.startswith("'"):
        return text[1:]
    if text.upper() in {"TRUE", "FALSE"}:
        return text.upper() == "TRUE"
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped):
        return float(stripped)
    if _THOUSANDS.fullmatch(stripped):
        return Rich(float(stripped.replace(",", "")), {"numberFormat": {"type": "NUMBER", "pattern": "#,##0"}})
    if stripped.endswith("%") and _NUMBER.fullmatch(stripped[:-1]):
        return Rich(float(stripped[:-1]) / 100, {"numberFormat": {"type": "PERCENT", "pattern": "0%"}})
    return _moment(stripped) or text


def _moment(text: str) -> Rich | None:
    for pattern, kind, shape in MOMENTS:
        try:
            found = datetime.strptime(text, pattern)  # noqa: DTZ007 - serial days are local to the spreadsheet
        except ValueError:
            continue
        if kind == "TIME":
            seconds = found.hour * 3600 + found.minute * 60 + found.second
            return Rich(seconds / 86_400, {"numberFormat": {"type": kind, "pattern": shape}})
        days = (found - EPOCH) / timedelta(days=1)
        return Rich(days, {"numberFormat": {"type": kind, "pattern": shape}})
    return None


def _plain(value: float) -> int | float:
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else value
