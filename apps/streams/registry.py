"""Which processors there are: the built-in table and what packages announce under `formhub.processors`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error

from apps.sinks.registry import Plugins
from apps.streams.contract import API_VERSION, PREFIX, SUBMISSIONS, Processor

BUILTIN: Mapping[str, str] = {
    "content_analysis": "apps.streams.builtin.content_analysis.processor.ContentAnalysis",
}
GROUP = "formhub.processors"

registry: Plugins[Processor] = Plugins(
    BUILTIN,
    GROUP,
    Processor,
    noun="processor",
    api_version=API_VERSION,
    error="streams.E001",
)


def usable() -> list[type[Processor]]:
    """Those that load and whose streams lead back to submissions."""
    kinds = registry.kinds()
    lost = {kind.name for kind in kinds if _fault(kind, kinds)}
    return [kind for kind in kinds if kind.name not in lost]


def check_processors(**options: Any) -> list[CheckMessage]:
    return [*registry.errors(), *chain_errors(registry.kinds())]


def chain_errors(kinds: Sequence[type[Processor]]) -> list[CheckMessage]:
    """What is wrong with who reads whom: a stream that nobody writes, or a circle."""
    found = [(kind, _fault(kind, kinds)) for kind in kinds]
    return [
        Error(fault, hint="Correct `consumes`, or remove the package.", obj=kind.name, id="streams.E002")
        for kind, fault in found
        if fault
    ]


def _fault(kind: type[Processor], kinds: Iterable[type[Processor]]) -> str:
    """Empty if its stream begins with submissions."""
    sources = {f"{PREFIX}{other.name}": other.consumes for other in kinds}
    passed = [f"{PREFIX}{kind.name}"]
    while (source := sources[passed[-1]]) != SUBMISSIONS:
        if source in passed:
            return f"The processor {kind.name!r} reads in a circle: {' <- '.join([*passed, source])}."
        if source not in sources:
            return f"The processor {kind.name!r} reads {source!r}, which nobody writes."
        passed.append(source)
    return ""
