"""Where a fault shows: what an operator, or an alert, sees of it in FormHub's own metrics.

Every case says it, and is held to it: `@pytest.mark.shows(above("formhub_intake_breaker_open", 0, "IntakeClosed"))`.
Where there is nothing to see it says why: `@pytest.mark.shows(nowhere("the next tick finds it, a second later"))`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from formhub.core.metrics import DEFINED

RULES = Path(__file__).resolve().parents[3] / "deploy" / "prometheus" / "alerts.yml"
Value = float | None


@dataclass(frozen=True)
class Sign:
    """`labels`: those that the series must have, `a|b` for either. `alert`: the rule that tells it, which asks for the
    same metric; empty where only a graph does.

    seen: from the value of one scrape and that of the next. None: there was none, as the process did not answer or is
    another one since.
    """

    metric: str
    seen: Callable[[Value, Value], bool]
    labels: Mapping[str, str]
    alert: str = ""

    def __post_init__(self) -> None:
        assert self.metric in DEFINED, f"{self.metric} is no metric of ours"
        asked = alerts()[self.alert] if self.alert else self.metric
        assert self.metric in asked, f"the alert {self.alert} does not ask for {self.metric}"

    @property
    def role(self) -> str:
        """Whose processes export it."""
        return self.labels.get("role") or DEFINED[self.metric].roles[0]

    def value(self, text: str) -> Value:
        """In what a process answered. A counter that has not begun is 0, a gauge that has not is none."""
        if not text:
            return None
        lines = "\n".join(line for line in text.splitlines() if line.startswith(self.metric)) + "\n"
        samples = [each for family in text_string_to_metric_families(lines) for each in family.samples]
        found = [each.value for each in samples if each.name == self.metric and self._wants(each.labels)]
        return sum(found) if DEFINED[self.metric].kind == "counter" else max(found, default=None)

    def _wants(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(name) in wanted.split("|") for name, wanted in self.labels.items())

    def __str__(self) -> str:
        return self.alert or self.metric


@dataclass(frozen=True)
class Nowhere:
    """A fault of which operators need see nothing."""

    because: str

    def __str__(self) -> str:
        return f"nowhere: {self.because}"


def rises(metric: str, alert: str = "", **labels: str) -> Sign:
    """A counter that goes up, in a process that was there before or in a new one."""
    return Sign(metric, lambda before, now: now is not None and now > (before or 0), labels, alert)


def above(metric: str, bound: float, alert: str = "", **labels: str) -> Sign:
    return Sign(metric, lambda before, now: now is not None and now > bound, labels, alert)


def below(metric: str, bound: float, alert: str = "", **labels: str) -> Sign:
    return Sign(metric, lambda before, now: now is not None and now < bound, labels, alert)


def absent(metric: str, alert: str = "", **labels: str) -> Sign:
    return Sign(metric, lambda before, now: now is None, labels, alert)


def late(metric: str, seconds: float, alert: str = "", **labels: str) -> Sign:
    """A moment that lies further back than it may; 0 is what there is before the first."""
    return Sign(metric, lambda before, now: bool(now) and time.time() - float(now or 0) > seconds, labels, alert)


def nowhere(because: str) -> Nowhere:
    assert because, "a fault that shows nowhere needs a reason"
    return Nowhere(because)


@cache
def alerts() -> Mapping[str, str]:
    """What each asks."""
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule["expr"] for rule in rules}
