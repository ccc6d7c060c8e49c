from importlib.metadata import EntryPoint

import pytest

from apps.sinks import registry as module
from apps.sinks.registry import GROUP, Registry, UnknownKindError
from apps.sinks.tests.kinds import Shelf

HERE = "apps.sinks.tests"


class Outdated(Shelf):
    name = "outdated"
    api_version = 0


NOT_A_SINK = 7


def test_a_kind_is_found_by_its_name() -> None:
    registry = Registry({"shelf": f"{HERE}.kinds.Shelf"}, "nobody.announces")

    assert registry.get("shelf") is Shelf
    assert registry.kinds() == [Shelf]
    assert registry.errors() == []


def test_a_package_announces_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("shelf", f"{HERE}.kinds:Shelf", GROUP)
    monkeypatch.setattr(module, "entry_points", lambda group: [point])

    assert Registry({}, GROUP).get("shelf") is Shelf


def test_a_package_cannot_take_the_place_of_a_built_in_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("shelf", f"{HERE}.test_registry:NOT_A_SINK", GROUP)
    monkeypatch.setattr(module, "entry_points", lambda group: [point])

    assert Registry({"shelf": f"{HERE}.kinds.Shelf"}, GROUP).get("shelf") is Shelf


@pytest.mark.parametrize(
    ("name", "path", "said"),
    [
        pytest.param("outdated", f"{HERE}.test_registry.Outdated", "version 0", id="another version of the surface"),
        pytest.param("gone", f"{HERE}.no_such_module.Kind", "cannot be loaded", id="a module that does not import"),
        pytest.param("number", f"{HERE}.test_registry.NOT_A_SINK", "not a Sink", id="something else"),
        pytest.param("rack", f"{HERE}.kinds.Shelf", "calls itself 'shelf'", id="another name"),
        pytest.param("sink", "apps.sinks.contract.Sink", "lacks check, deliver, destination", id="unfinished"),
    ],
)
def test_a_kind_that_does_not_load_is_reported_and_the_others_work(name: str, path: str, said: str) -> None:
    registry = Registry({name: path, "shelf": f"{HERE}.kinds.Shelf"}, "nobody.announces")

    [error] = registry.errors()

    assert said in error.msg
    assert error.hint
    assert registry.get("shelf") is Shelf
    with pytest.raises(UnknownKindError):
        registry.get(name)


def test_an_unknown_kind_says_what_to_do() -> None:
    with pytest.raises(UnknownKindError, match="Install the package"):
        Registry({}, "nobody.announces").get("fax")
