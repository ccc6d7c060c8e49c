"""The one rule of structure: who may import whom. The table is the architecture's; a new room needs a row here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ("formhub", "apps", "workers", "sheets_emulator", "deploy", "bench", "tests")

# Room -> what it may import of ours, as module prefixes. The longest matching room decides for a module.
ALLOWED: dict[str, tuple[str, ...]] = {
    "formhub.core": ("formhub.core",),
    "formhub.settings": ("formhub.settings", "formhub.core.redis"),
    "formhub": OURS,  # wiring
    "apps.orgs": ("formhub.core", "apps.orgs"),
    "apps.forms": ("formhub.core", "apps.orgs", "apps.forms"),
    "apps.intake": (
        "formhub.core", "apps.orgs", "apps.intake",
        "apps.forms.published", "apps.forms.schema", "apps.forms.fields", "apps.forms.markup",
    ),
    "apps.archive": ("formhub.core", "apps.orgs", "apps.archive", "apps.forms.published"),
    "apps.sinks": ("formhub.core", "apps.orgs", "apps.sinks"),
    "apps.sinks.contract": ("formhub.core",),
    "apps.sinks.conformance": ("formhub.core", "apps.sinks.contract"),
    "apps.sinks.egress": ("apps.sinks.contract",),
    "apps.sinks.builtin": (
        "apps.sinks.contract", "apps.sinks.egress", "apps.sinks.builtin.wording",
        "formhub.core.envelope", "formhub.core.layout", "formhub.core.clock",
    ),
    # Whom nobody may write to, and how much was written to whom, is known for all actions together.
    "apps.sinks.builtin.email": (
        "apps.sinks.contract", "apps.sinks.suppression", "formhub.core.layout", "formhub.core.redis",
        "apps.sinks.builtin.email", "apps.sinks.builtin.wording",
    ),
    "apps.streams": (
        "formhub.core", "apps.orgs", "apps.streams", "apps.sinks.contract", "apps.sinks.registry",
    ),
    "apps.streams.contract": ("apps.sinks.contract",),
    "apps.streams.builtin": ("apps.streams.contract", "apps.streams.builtin", "formhub.core.clock"),
    "workers": (
        "formhub.core", "workers", "apps.forms.published", "apps.intake.outbox", "apps.intake.admission",
        "apps.archive.writer", "apps.archive.queries", "apps.archive.offsets", "apps.archive.erasing",
        "apps.sinks.contract", "apps.sinks.registry", "apps.sinks.models", "apps.sinks.actions",
        "apps.sinks.config", "apps.sinks.erasing", "apps.sinks.notices", "apps.sinks.queries", "apps.sinks.rates",
        "apps.sinks.revisions", "apps.sinks.walks", "apps.sinks.replay", "apps.sinks.selection", "apps.sinks.tally",
        "apps.streams.contract", "apps.streams.registry", "apps.streams.models", "apps.streams.topics",
    ),
    "apps.console": ("formhub.core", "apps"),
    "sheets_emulator": ("sheets_emulator",),
    "deploy": ("deploy", "sheets_emulator"),
    "bench": OURS,
}  # fmt: skip
# Nobody imports the wiring; a Celery application is handed to Celery by name.
WIRING = ("formhub.urls", "formhub.celery", "formhub.wsgi", "formhub.rsgi", "formhub.serve", "formhub.__main__")


def modules() -> Iterator[Path]:
    for top in OURS[:-1]:
        for path in sorted((ROOT / top).rglob("*.py")):
            if "migrations" not in path.parts and "tests" not in path.parts:
                yield path


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str | None:
    rooms = [room for room in ALLOWED if within(module, room)]
    return max(rooms, key=len, default=None)


def within(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def imported(path: Path, module: str) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            # `from apps.sinks import models` names a module by its alias.
            yield from (f"{base}.{alias.name}" for alias in node.names)


def allowed(module: str, target: str) -> bool:
    room = room_of(module)
    if room is None:
        return False
    own_folder = ".".join(module.split(".")[:4]) if room == "apps.sinks.builtin" else ""
    return any(within(target, prefix) for prefix in (*ALLOWED[room], *([own_folder] if own_folder else [])))


@pytest.mark.parametrize("path", [pytest.param(path, id=name_of(path)) for path in modules()])
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    module = name_of(path)
    ours = [target for target in imported(path, module) if target.split(".")[0] in OURS]

    assert [target for target in ours if not allowed(module, target)] == []
    assert [target for target in ours if any(within(target, wiring) for wiring in WIRING)] == []


def test_the_kernel_holds_no_models() -> None:
    kernel = [path for path in modules() if within(name_of(path), "formhub.core")]

    assert kernel
    assert [name_of(path) for path in kernel if "django.db" in set(imported(path, name_of(path)))] == []


def test_only_one_module_of_the_django_project_reads_the_environment() -> None:
    readers = {
        name_of(path)
        for path in modules()
        if path.relative_to(ROOT).parts[0] in {"formhub", "apps", "workers"}
        and any(target in {"os.environ", "os.getenv"} for target in _attributes(path))
    }

    # The others name the settings module, before there are settings, and the tests' throw-away values.
    assert readers <= {
        "formhub.settings.env", "formhub.settings.test", "formhub.celery", "formhub.starting", "formhub.serve",
        "formhub.__main__",
    }  # fmt: skip


def _attributes(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
