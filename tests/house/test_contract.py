"""The plug-in surface is what strangers build on: every name of it is explained in the code and in the guide."""

import inspect
from pathlib import Path

import pytest

from apps.sinks import contract

GUIDE = Path(__file__).resolve().parent.parent.parent / "docs" / "sinks.md"


@pytest.mark.parametrize("name", contract.__all__)
def test_every_public_name_is_explained(name: str) -> None:
    member = getattr(contract, name)

    assert f"`{name}`" in GUIDE.read_text(), f"docs/sinks.md does not mention {name}"
    if inspect.isclass(member):
        assert member.__doc__, f"{name} has no docstring"
        # A dataclass without one is given its signature as docstring.
        assert not member.__doc__.startswith(f"{name}("), f"{name} has no docstring of its own"


def test_every_public_member_of_a_sink_is_explained() -> None:
    methods = [member for name, member in vars(contract.Sink).items() if not name.startswith("_") and callable(member)]

    assert [method for method in methods if not inspect.getdoc(method)] == []


def test_everything_public_is_exported() -> None:
    public = {
        name
        for name, member in vars(contract).items()
        if inspect.isclass(member) and member.__module__ == contract.__name__ and not name.startswith("_")
    }

    assert public <= set(contract.__all__)
