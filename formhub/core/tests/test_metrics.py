import pytest

from formhub.core import metrics
from formhub.core.metrics import DEFINED, ROLES, Bounded

TENANTS = {"organization", "form", "submission", "binding", "action", "destination", "batch", "key", "account", "user"}


@pytest.mark.parametrize("defined", DEFINED.values(), ids=lambda defined: defined.name)
def test_each_metric_says_what_it_measures_and_for_whom(defined: metrics.Definition) -> None:
    assert defined.name.startswith("formhub_")
    assert len(defined.says) > 20
    assert defined.roles
    assert set(defined.roles) <= set(ROLES)
    assert TENANTS.isdisjoint(defined.labels), "labels must not grow with forms or organizations"
    assert (defined.kind == "counter") == defined.name.endswith("_total")


def test_label_values_that_plug_ins_choose_are_bounded() -> None:
    bounded = Bounded()

    taken = {bounded(f"code-{number}") for number in range(1000)}

    assert len(taken) == metrics.LABEL_VALUES_MAX + 1
    assert bounded("code-3") == "code-3"
    assert bounded("code-999") == "other"
