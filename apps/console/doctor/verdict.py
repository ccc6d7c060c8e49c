"""What a check says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import redis
from django.db import Error

from formhub.core.stream.base import StreamError

# What a check may raise because somebody does not answer.
AWAY = (Error, redis.RedisError, StreamError, OSError)


class Level(StrEnum):
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Verdict:
    level: Level
    says: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    part: str
    check: str
    level: Level
    says: str
    remedy: str


Check = Callable[[], Verdict]


@dataclass(frozen=True, slots=True)
class Section:
    """`checks` by name. `first` is whether it can be asked at all: where that is bad the others are left out.

    `away`: the remedy where it does not answer.
    """

    name: str
    checks: Sequence[tuple[str, Check]]
    first: tuple[str, Check] | None = None
    away: str = ""


def good(says: str) -> Verdict:
    return Verdict(Level.GOOD, says)


def warn(says: str, remedy: str) -> Verdict:
    return Verdict(Level.WARN, says, remedy)


def bad(says: str, remedy: str) -> Verdict:
    return Verdict(Level.BAD, says, remedy)


def worst(verdicts: Sequence[Verdict], otherwise: str) -> Verdict:
    """All troubles in one: what each says and how it is mended. `otherwise`: said where there is none."""
    order = (Level.BAD, Level.WARN)
    troubles = sorted((one for one in verdicts if one.level in order), key=lambda one: order.index(one.level))
    if not troubles:
        return good(otherwise)
    remedies = dict.fromkeys(one.remedy for one in troubles)
    return Verdict(troubles[0].level, "; ".join(one.says for one in troubles), "\n".join(remedies))
