"""Which kinds of action there are: the built-in table and the plug-ins that packages announce.

A package announces one with an entry point of the group `formhub.sinks`: its name is the kind's name, its object the
Sink class. A kind that does not load is reported by a system check; the others keep working.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from apps.sinks.contract import API_VERSION, Sink

BUILTIN: Mapping[str, str] = {
    "google_sheets": "apps.sinks.builtin.google_sheets.sink.GoogleSheets",
}
GROUP = "formhub.sinks"


class UnknownKindError(LookupError):
    """No kind of that name can be used here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Refused:
    message: str
    hint: str


class Registry:
    """Kinds by name, each imported when it is first asked for."""

    def __init__(self, builtin: Mapping[str, str], group: str) -> None:
        self._builtin = builtin
        self._group = group
        self._known: dict[str, type[Sink] | _Refused] = {}

    @cached_property
    def _sources(self) -> dict[str, str | EntryPoint]:
        # The table comes last: a package cannot take the place of a built-in kind.
        return {point.name: point for point in entry_points(group=self._group)} | dict(self._builtin)

    def names(self) -> list[str]:
        return sorted(self._sources)

    def get(self, name: str) -> type[Sink]:
        """Raises UnknownKindError."""
        found = self._look_up(name)
        if isinstance(found, _Refused):
            raise UnknownKindError(f"{found.message} {found.hint}")
        return found

    def kinds(self) -> list[type[Sink]]:
        """Those that work, by label."""
        found = [self._look_up(name) for name in self.names()]
        return sorted((kind for kind in found if not isinstance(kind, _Refused)), key=lambda kind: str(kind.label))

    def errors(self) -> list[CheckMessage]:
        found = {name: self._look_up(name) for name in self.names()}
        return [
            Error(refused.message, hint=refused.hint, obj=name, id="sinks.E001")
            for name, refused in found.items()
            if isinstance(refused, _Refused)
        ]

    def _look_up(self, name: str) -> type[Sink] | _Refused:
        if name not in self._known:
            source = self._sources.get(name)
            if source is None:
                return _Refused(f"The kind of action {name!r} is not installed.", "Install the package that brings it.")
            self._known[name] = _load(name, source)
        return self._known[name]


def _load(name: str, source: str | EntryPoint) -> type[Sink] | _Refused:
    try:
        found = import_string(source) if isinstance(source, str) else source.load()
    except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything while it is imported
        return _Refused(
            f"The kind of action {name!r} cannot be loaded: {type(error).__name__}: {error}.",
            "Repair or remove the package that brings it; every other kind works.",
        )
    return _fault(name, found) or found


def _fault(name: str, found: Any) -> _Refused | None:
    if not (inspect.isclass(found) and issubclass(found, Sink)):
        return _Refused(f"The kind of action {name!r} is not a Sink.", "Name a subclass of apps.sinks.contract.Sink.")
    if found.api_version != API_VERSION:
        return _Refused(
            f"The kind of action {name!r} is written for version {found.api_version} of the plug-in surface, "
            f"this is version {API_VERSION}.",
            "Install a release of the plug-in made for this version.",
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        return _Refused(f"The kind of action {name!r} lacks {missing}.", "Define what is missing in the Sink class.")
    if getattr(found, "name", None) != name:
        return _Refused(
            f"The kind of action {name!r} calls itself {getattr(found, 'name', None)!r}.",
            "Give the class and its entry point the same name.",
        )
    return None


registry = Registry(BUILTIN, GROUP)


def check_kinds(**options: Any) -> list[CheckMessage]:
    return registry.errors()
