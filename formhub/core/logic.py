"""Conditions in JsonLogic, evaluated with a budget of operations so that no rule can hold a worker."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from datalogic_py import CompileError, DataLogicError, Engine, Rule

OPERATIONS = 10_000
_engine = Engine()


class ConditionError(ValueError):
    """A rule that does not compile, or that failed on these answers."""


def check(rule: Any) -> None:
    """Raises ConditionError, naming the place in the rule, for one that could never be evaluated."""
    try:
        _engine.compile_checked(orjson.dumps(rule).decode())
    except CompileError as error:
        found = "; ".join(f"{item['message']} at {item['pointer'] or '/'}" for item in error.diagnostics)
        raise ConditionError(found or str(error)) from None
    except DataLogicError as error:
        raise ConditionError(str(error)) from None


def holds(rule: Any, answers: Mapping[str, Any]) -> bool:
    """Whether the answers satisfy the rule; None, no rule, always holds. Raises ConditionError."""
    if rule is None:
        return True
    try:
        result, _ = _compiled(orjson.dumps(rule).decode()).evaluate_metered(dict(answers), OPERATIONS)
    except DataLogicError as error:
        # Only the kind of trouble: the message of an evaluation can hold answers.
        raise ConditionError(f"the condition failed ({getattr(error, 'error_type', 'error')})") from None
    return bool(_engine.truthy(result))


@lru_cache(maxsize=4096)
def _compiled(rule: str) -> Rule:
    return _engine.compile(rule)
