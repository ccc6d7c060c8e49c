from typing import Any

import pytest

from formhub.core.logic import ConditionError, check, holds


@pytest.mark.parametrize(
    ("rule", "answers", "expected"),
    [
        pytest.param(None, {}, True, id="no rule"),
        pytest.param({"<": [{"var": "cgpa"}, 5]}, {"cgpa": 4.9}, True, id="below"),
        pytest.param({"<": [{"var": "cgpa"}, 5]}, {"cgpa": 5}, False, id="not below"),
        pytest.param({"in": ["red", {"var": "colours"}]}, {"colours": ["red"]}, True, id="in a list"),
        pytest.param({"==": [{"var": "gone"}, "x"]}, {}, False, id="an answer that was not given"),
    ],
)
def test_a_condition_is_decided_by_the_answers(rule: Any, answers: dict[str, Any], expected: bool) -> None:
    assert holds(rule, answers) is expected


def test_a_rule_with_an_unknown_operator_is_refused_by_name() -> None:
    with pytest.raises(ConditionError, match="nope"):
        check({"nope": [1, 2]})


def test_a_condition_that_fails_says_nothing_of_the_answers() -> None:
    with pytest.raises(ConditionError) as caught:
        holds({"+": [{"var": "name"}, 1]}, {"name": "secret answer"})

    assert "secret" not in str(caught.value)


def test_a_rule_cannot_hold_a_worker() -> None:
    with pytest.raises(ConditionError, match="BudgetExceeded"):
        holds({"map": [{"var": "many"}, {"map": [{"var": ""}, 1]}]}, {"many": [[0] * 500] * 500})
