"""Two worlds, one broker and three, each started when the first case asks for it; what ended in one case runs again
in the next.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import JARS, ROOT
from deploy.local.kafka import jars
from tests.faults.harness.case import Case
from tests.faults.harness.signs import Nowhere, Sign
from tests.faults.harness.world import World

RESULTS = Path(os.environ.get("FAULTS_RESULTS", ROOT / ".formhub" / "faults"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`make test` runs few of the cases, `make test-faults` all of them."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        fixtures = set(getattr(item, "fixturenames", ()))
        if {"case", "trio", "crowded"} & fixtures:
            item.add_marker("services")
        if {"case", "trio"} & fixtures and sign_of(item) is None:
            raise pytest.UsageError(f"{item.nodeid}: mark it with what shows its fault (tests.faults.harness.signs).")
    if config.getoption("--faults") != "all":
        left_out = {item for item in here if item.get_closest_marker("services") and not item.get_closest_marker("few")}
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from running(World(jars(JARS), tmp_path_factory.mktemp("world")))


@pytest.fixture(scope="session")
def world_of_three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from running(World(jars(JARS), tmp_path_factory.mktemp("three"), brokers=3))


def running(made: World) -> Iterator[World]:
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def case(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[Case]:
    yield from begun(request, world, tmp_path)


@pytest.fixture
def trio(request: pytest.FixtureRequest, world_of_three: World, tmp_path: Path) -> Iterator[Case]:
    """A case on three brokers."""
    yield from begun(request, world_of_three, tmp_path)


def begun(request: pytest.FixtureRequest, world: World, folder: Path) -> Iterator[Case]:
    name = request.node.name.removeprefix("test_")
    seed = request.config.getoption("--faults-seed") or random.randrange(10**6)
    fault = request.node.callspec.id if hasattr(request.node, "callspec") else ""
    says = (request.function.__doc__ or name).strip().format(id=fault)
    request.node.add_report_section("setup", "seed", f"--faults-seed {seed}")
    world.heal()
    made = Case(name, says, seed, world, folder, RESULTS, sign_of(request.node))
    with made.watch.on():
        yield made
    world.heal()
    made.journal.close()


def sign_of(item: pytest.Item) -> Sign | Nowhere | None:
    """What the case is marked with."""
    marker = item.get_closest_marker("shows")
    return marker.args[0] if marker else None
