import asyncio

import pytest

from formhub.core import deadlines
from formhub.core.deadlines import Deadlines

Waits = list[asyncio.Future[str]]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "STEP_SECONDS", 0.005)


def futures(count: int) -> Waits:
    return [asyncio.get_running_loop().create_future() for _ in range(count)]


def of_futures(seconds: float) -> Deadlines[asyncio.Future[str]]:
    return Deadlines(seconds, lambda future: future.done(), lambda future: future.set_result("late"))


def test_what_is_not_over_in_time_gives_up_and_nothing_else() -> None:
    async def found() -> list[str]:
        waiting, ended = futures(2)
        kept = of_futures(0.02)
        kept.add(waiting)
        kept.add(ended)
        ended.set_result("in time")
        return [await waiting, await ended]

    assert asyncio.run(found()) == ["late", "in time"]


def test_one_behind_another_that_is_long_over_gives_up_too() -> None:
    async def found() -> list[str]:
        kept = of_futures(0.01)
        said = []
        for future in futures(3):  # each begins when none is left, so that the timer has to be set anew
            kept.add(future)
            said.append(await future)
        return said

    assert asyncio.run(found()) == ["late"] * 3


def test_what_is_over_is_forgotten_though_its_time_is_not_up() -> None:
    async def left() -> int:
        kept = of_futures(3600)
        for future in futures(100):
            kept.add(future)
            future.set_result("in time")
        while kept._waits:
            await asyncio.sleep(0.001)
        return len(kept._waits)

    assert asyncio.run(asyncio.wait_for(left(), 20)) == 0
