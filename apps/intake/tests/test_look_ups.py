"""What only the database can tell, asked for by a loop."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError

from apps.intake.look_ups import LookUps, NotLookedUpError


@pytest.fixture
def look_ups() -> Iterator[LookUps]:
    made = LookUps(threads=1, seconds=20, asked_max=2)
    yield made
    made.close()


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def raising(error: Exception) -> Callable[[], object]:
    def look_up() -> object:
        raise error

    return look_up


def test_all_who_want_the_same_wait_for_one_question(look_ups: LookUps) -> None:
    asked: list[int] = []
    go_on = threading.Event()

    def look_up() -> str:
        asked.append(threading.get_ident())
        assert go_on.wait(20)
        return "found"

    async def many() -> list[str]:
        waiting = [asyncio.create_task(look_ups.ask("form", look_up)) for _ in range(50)]
        await asyncio.sleep(0)
        go_on.set()
        return await asyncio.gather(*waiting)

    assert run(many()) == ["found"] * 50
    assert len(asked) == 1
    assert asked[0] != threading.get_ident()


def test_the_next_one_asks_anew(look_ups: LookUps) -> None:
    answers = iter(["first", "second"])

    async def twice() -> list[str]:
        return [await look_ups.ask("form", lambda: next(answers)) for _ in range(2)]

    assert run(twice()) == ["first", "second"]


def test_a_silent_database_holds_nobody_for_longer_than_the_time_for_it() -> None:
    look_ups, go_on = LookUps(threads=1, seconds=0.05), threading.Event()
    try:
        with pytest.raises(NotLookedUpError):
            run(look_ups.ask("form", lambda: go_on.wait(20)))
    finally:
        go_on.set()
        look_ups.close()


def test_a_database_that_is_away_is_told_as_such(look_ups: LookUps) -> None:
    with pytest.raises(NotLookedUpError):
        run(look_ups.ask("form", raising(OperationalError("away"))))


def test_a_defect_is_not_taken_for_a_database_that_is_away(look_ups: LookUps) -> None:
    with pytest.raises(KeyError):
        run(look_ups.ask("form", raising(KeyError("defect"))))


def test_questions_beyond_the_bound_are_turned_away(look_ups: LookUps) -> None:
    go_on = threading.Event()

    async def three() -> None:
        waiting = [asyncio.create_task(look_ups.ask(name, lambda: go_on.wait(20))) for name in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(NotLookedUpError):
            await look_ups.ask("one more", lambda: go_on.wait(20))
        go_on.set()
        await asyncio.gather(*waiting)

    run(three())
