"""Results in words, for pages that show a submission."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.streams.registry import registry


def describe(stream: str, result: Mapping[str, Any]) -> tuple[str, Sequence[tuple[str, str]]]:
    """What people call the stream, and the result as pairs of a name and a text."""
    kind = registry.find(stream)
    if kind is None:
        return stream, [(str(name), str(value)) for name, value in result.items()]
    if "error" in result:
        return str(kind.label), [("error", str(result["error"]))]
    return str(kind.label), kind.describe(result)
