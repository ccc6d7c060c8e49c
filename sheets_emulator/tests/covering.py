"""Which public methods and properties of gspread a test drives; that it does is checked while it runs."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import gspread

CLASSES = (gspread.Client, gspread.Spreadsheet, gspread.Worksheet)
COVERED: set[str] = set()


def public() -> set[str]:
    return {f"{each.__name__}.{name}" for each in CLASSES for name in vars(each) if not name.startswith("_")}


def covers(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    COVERED.update(names)

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            with _recorded() as called:
                test(*args, **kwargs)
            if unused := set(names) - called:
                raise AssertionError(f"Named by the test and never used by it: {sorted(unused)}")

        return run

    return decorate


@contextmanager
def _recorded() -> Iterator[set[str]]:
    called: set[str] = set()
    with ExitStack() as patches:
        for owner in CLASSES:
            for name, member in _watched(owner, called).items():
                patches.enter_context(mock.patch.object(owner, name, member))
        yield called


def _watched(owner: type, called: set[str]) -> dict[str, Any]:
    """The same members, which tell when they are used."""
    found: dict[str, Any] = {}
    for name, member in vars(owner).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            found[name] = property(_telling(f"{owner.__name__}.{name}", member.fget, called))
        elif inspect.isfunction(member):
            found[name] = _telling(f"{owner.__name__}.{name}", member, called)
    return found


def _telling(name: str, member: Any, called: set[str]) -> Any:
    @functools.wraps(member)
    def use(*args: Any, **kwargs: Any) -> Any:
        called.add(name)
        return member(*args, **kwargs)

    return use
