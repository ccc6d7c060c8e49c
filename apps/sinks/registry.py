"""Which kinds of action there are: the built-in table and the plug-ins that packages announce.

A package announces one with an entry point of the group `formhub.sinks`: its name is the kind's name, its object the
Sink class. A kind that does not load is reported by a system check; the others keep working.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast

from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from apps.sinks.contract import API_VERSION, Sink

BUILTIN: Mapping[str, str] = {
    "chat": "apps.sinks.builtin.chat.generic.Generic",
    "discord": "apps.sinks.builtin.chat.discord.Discord",
    "email_confirmation": "apps.sinks.builtin.email.sink.Confirmation",
    "email_notification": "apps.sinks.builtin.email.sink.Notification",
    "google_sheets": "apps.sinks.builtin.google_sheets.sink.GoogleSheets",
    "slack": "apps.sinks.builtin.chat.slack.Slack",
    "teams": "apps.sinks.builtin.chat.teams.Teams",
    "telegram": "apps.sinks.builtin.chat.telegram.Telegram",
    "webhook": "apps.sinks.builtin.webhook.sink.Webhook",
}
GROUP = "formhub.sinks"
ABSENT = "Install the package that brings it on every server and restart FormHub; what has gathered is then delivered."


class Plugin(Protocol):
    """What every class has that a package may announce."""

    api_version: ClassVar[int]
    name: ClassVar[str]
    label: ClassVar[str]


K = TypeVar("K", bound=Plugin)


class UnknownKindError(LookupError):
    """No kind of that name can be used here: why, and what to do. Both are shown to owners of forms."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason} {remedy}".strip())
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class _Refused:
    """detail: what a stranger's module said, for those who run the installation alone."""

    message: str
    hint: str
    detail: str = ""
    api_version: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """What is known of a kind that is announced, whether it works or not. package: empty for the built-in ones.

    trouble: why it does not load; empty where it does. remedy: what to do about that.
    """

    name: str
    label: str
    package: str
    version: str
    api_version: int | None
    trouble: str = ""
    remedy: str = ""


class Plugins(Generic[K]):
    """Classes of one base by name, each imported when it is first asked for. `noun`: what people call one."""

    def __init__(
        self, builtin: Mapping[str, str], group: str, base: type[Any], *, noun: str, api_version: int, error: str
    ) -> None:
        self._builtin = builtin
        self._group = group
        self._base = base
        self._noun = noun
        self._api_version = api_version
        self._error = error
        self._known: dict[str, type[K] | _Refused] = {}

    @cached_property
    def _sources(self) -> dict[str, str | EntryPoint]:
        # The table comes last: a package cannot take the place of a built-in kind.
        return {point.name: point for point in entry_points(group=self._group)} | dict(self._builtin)

    def names(self) -> list[str]:
        return sorted(self._sources)

    def get(self, name: str) -> type[K]:
        """Raises UnknownKindError."""
        found = self._look_up(name)
        if isinstance(found, _Refused):
            raise UnknownKindError(found.message, found.hint)
        return found

    def find(self, name: str) -> type[K] | None:
        """None where it cannot be used here, whatever the reason."""
        try:
            return self.get(name)
        except UnknownKindError:
            return None

    def kinds(self) -> list[type[K]]:
        """Those that work, by label."""
        found = [self._look_up(name) for name in self.names()]
        return sorted((kind for kind in found if not isinstance(kind, _Refused)), key=lambda kind: str(kind.label))

    def package(self, name: str) -> str:
        """The package that brings the kind, with its version; empty for the built-in ones."""
        return " ".join(_package(self._sources.get(name, ""))).strip()

    def listed(self) -> Iterator[Listed]:
        """All that are announced, by name."""
        for name in self.names():
            found, origin = self._look_up(name), _package(self._sources[name])
            if isinstance(found, _Refused):
                trouble = f"{found.message} {found.detail}".strip()
                yield Listed(name, name, *origin, found.api_version, trouble, found.hint)
            else:
                yield Listed(name, str(found.label), *origin, found.api_version)

    def errors(self) -> list[CheckMessage]:
        return [
            Error(kind.trouble, hint=kind.remedy, obj=kind.name, id=self._error)
            for kind in self.listed()
            if kind.trouble
        ]

    def _look_up(self, name: str) -> type[K] | _Refused:
        if name not in self._known:
            source = self._sources.get(name)
            if source is None:
                return _Refused(f"The {self._noun} {name!r} is not installed.", ABSENT)
            self._known[name] = self._load(name, source)
        return self._known[name]

    def _load(self, name: str, source: str | EntryPoint) -> type[K] | _Refused:
        try:
            found = import_string(source) if isinstance(source, str) else source.load()
        except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything while it is imported
            return _Refused(
                f"The {self._noun} {name!r} cannot be loaded.",
                "Repair or remove the package that brings it; every other kind works.",
                f"{type(error).__name__}: {error}",
            )
        return self._fault(name, found) or cast("type[K]", found)

    def _fault(self, name: str, found: Any) -> _Refused | None:
        the, base = f"The {self._noun} {name!r}", self._base
        if not _is_a(found, base):
            return _Refused(
                f"{the} is not a {base.__name__}.", f"Name a subclass of {base.__module__}.{base.__name__}."
            )
        if found.api_version != self._api_version:
            return _Refused(
                f"{the} is written for version {found.api_version} of the plug-in surface, "
                f"this is version {self._api_version}.",
                "Install a release of the plug-in made for this version.",
                api_version=found.api_version,
            )
        if inspect.isabstract(found):
            missing = ", ".join(sorted(found.__abstractmethods__))
            return _Refused(f"{the} lacks {missing}.", f"Define what is missing in the {base.__name__} class.")
        if getattr(found, "name", None) != name:
            return _Refused(
                f"{the} calls itself {getattr(found, 'name', None)!r}.",
                "Give the class and its entry point the same name.",
            )
        return None


def _is_a(found: Any, base: type[Any]) -> bool:
    return inspect.isclass(found) and issubclass(found, base)


class Registry(Plugins[Sink]):
    """Kinds of action."""

    def __init__(self, builtin: Mapping[str, str], group: str) -> None:
        super().__init__(
            builtin,
            group,
            Sink,
            noun="kind of action",
            api_version=API_VERSION,
            error="sinks.E001",
        )


def _package(source: str | EntryPoint) -> tuple[str, str]:
    """Name and version."""
    if isinstance(source, str) or source.dist is None:
        return "", ""
    return source.dist.name, source.dist.version


registry = Registry(BUILTIN, GROUP)


def check_kinds(**options: Any) -> list[CheckMessage]:
    return registry.errors()


def label_of(kind: str) -> str:
    """What people call it; its name where it is not installed."""
    found = registry.find(kind)
    return str(found.label) if found else kind
