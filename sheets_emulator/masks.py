"""Field masks: `sheets(properties(sheetId,title),data.rowData),spreadsheetId` keeps just these members."""

from collections.abc import Mapping
from typing import Any

from sheets_emulator.errors import invalid

Mask = dict[str, "Mask"]


def parse(text: str) -> Mask:
    """Raises ApiError 400. An empty mask, or `*`, keeps everything."""
    if len(text) > 10_000:
        raise invalid("The field mask is too long.")
    mask, rest = _parse(text.replace(" ", ""))
    if rest:
        raise invalid(f"Request contains an invalid argument: fields mask near '{rest[:20]}'.")
    return mask


def apply(mask: Mask, value: Any) -> Any:
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [apply(mask, item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: apply(inner, value[name]) for name, inner in mask.items() if name in value}


def wants(mask: Mask, *path: str) -> bool:
    """Whether a mask keeps anything at the path."""
    for name in path:
        if not mask or "*" in mask:
            return True
        if name not in mask:
            return False
        mask = mask[name]
    return True


def merge(present: Mapping[str, Any], given: Mapping[str, Any], mask: Mask) -> dict[str, Any]:
    """`present` with the members that the mask names taken from `given`; what is not given there goes."""
    if "*" in mask:
        return dict(clean(given))
    found = dict(present)
    for name, inner in mask.items():
        value = clean(given.get(name))
        if inner and "*" not in inner:
            value = merge(found.get(name) or {}, value or {}, inner)
        if value is None or value == {}:
            found.pop(name, None)
        else:
            found[name] = value
    return found


def clean(value: Any) -> Any:
    """Without the members that are null: Google takes those as not set."""
    if isinstance(value, dict):
        return {name: clean(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [clean(inner) for inner in value]
    return value


def _parse(text: str) -> tuple[Mask, str]:
    mask: Mask = {}
    while text and text[0] != ")":
        end = next((index for index, letter in enumerate(text) if letter in ",()"), len(text))
        names, text = text[:end].replace("/", ".").split("."), text[end:]
        node = mask
        for name in names:
            node = node.setdefault(name, {})
        if text.startswith("("):
            inner, text = _parse(text[1:])
            if not text.startswith(")"):
                raise invalid("Request contains an invalid argument: unbalanced fields mask.")
            node.update(inner)
            text = text[1:]
        if text.startswith(","):
            text = text[1:]
    return mask, text
