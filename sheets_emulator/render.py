"""Values and cells as the API shows and takes them."""

import re
from datetime import date, datetime, timedelta
from typing import Any

from sheets_emulator.errors import invalid
from sheets_emulator.model import Cell, Formatted, Formula, Value, check_value, format_of, value_of

EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - serial days are local to the spreadsheet
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
DATE_FORMAT = {"numberFormat": {"type": "DATE", "pattern": "yyyy-mm-dd"}}


def from_extended(extended: dict[str, Any] | None) -> Value:
    """An ExtendedValue, typed by its member. Raises ApiError 400."""
    members = {name: value for name, value in (extended or {}).items() if value is not None}
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


def from_cell_data(data: dict[str, Any], fields: set[str], present: Cell = None) -> Cell:
    """A CellData as far as `fields` (top-level names, or `*`) says; the rest of the present cell stays."""
    every = "*" in fields
    value = from_extended(data.get("userEnteredValue")) if every or "userEnteredValue" in fields else value_of(present)
    shape = format_of(present)
    if every or "userEnteredFormat" in fields:
        shape = data.get("userEnteredFormat") or {}
    return Formatted(value, shape) if shape else value


def entered(raw: Any, option: str) -> Cell:
    """What a values.* call puts into a cell. RAW keeps text as text; USER_ENTERED reads it as if typed."""
    if raw is None or isinstance(raw, bool):
        return raw
    if isinstance(raw, int | float):
        return float(raw)
    if not isinstance(raw, str):
        raise invalid(f"Invalid values: a cell must be a text, a number or a boolean, not {type(raw).__name__}.")
    check_value(raw)
    return raw if option == "RAW" else _typed(raw)


def shown(cell: Cell, render: str, dates: str) -> Any:
    """A cell by ValueRenderOption and DateTimeRenderOption."""
    value, shape = value_of(cell), format_of(cell)
    if value is None:
        return ""
    if isinstance(value, Formula):
        return value.text
    if isinstance(value, bool):
        return value if render != "FORMATTED_VALUE" else str(value).upper()
    if isinstance(value, float):
        kind = shape.get("numberFormat", {}).get("type", "")
        as_text = render == "FORMATTED_VALUE" or (dates == "FORMATTED_STRING" and kind in {"DATE", "DATE_TIME", "TIME"})
        return formatted(value, shape) if as_text else _plain(value)
    return value


def formatted(value: float, shape: dict[str, Any]) -> str:
    kind = shape.get("numberFormat", {}).get("type", "")
    if kind == "DATE":
        return (EPOCH + timedelta(days=value)).strftime("%Y-%m-%d")
    if kind == "DATE_TIME":
        return (EPOCH + timedelta(seconds=round(value * 86_400))).strftime("%Y-%m-%d %H:%M:%S")
    return str(_plain(value))


def cell_data(cell: Cell) -> dict[str, Any]:
    value, shape = value_of(cell), format_of(cell)
    data: dict[str, Any] = {}
    if value is not None:
        data["userEnteredValue"] = to_extended(value)
        data["effectiveValue"] = to_extended(value.text if isinstance(value, Formula) else value)
        data["formattedValue"] = str(shown(cell, "FORMATTED_VALUE", "FORMATTED_STRING"))
    if shape:
        data["userEnteredFormat"] = shape
    return data


def _typed(text: str) -> Cell:
    if text.startswith("="):
        return Formula(text)
    if text.startswith("'"):
        return text[1:]
    if text.upper() in {"TRUE", "FALSE"}:
        return text.upper() == "TRUE"
    if _NUMBER.fullmatch(text):
        return float(text)
    if match := _DATE.fullmatch(text):
        try:
            day = date(*map(int, match.groups()))
        except ValueError:
            return text
        return Formatted(float((day - EPOCH.date()).days), DATE_FORMAT)
    return text


def _plain(value: float) -> int | float:
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else value
