"""The operators' guide names what there is: every metric, setting, alert and check, and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from apps.console.doctor import report
from formhub.core.metrics import DEFINED, Definition

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDE = (ROOT / "docs" / "operations.md").read_text()
RULES: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
SUFFIXES = ("_bucket", "_sum", "_count")
SETTINGS = ("LOG_FORMAT", "LOG_LEVEL", "METRICS_TOKEN", "METRICS_PORT", "METRICS_ADDRESS", "PROMETHEUS_MULTIPROC_DIR")


def row(defined: Definition) -> str:
    labels = ", ".join(f"`{label}`" for label in defined.labels)
    return f"| `{defined.name}` | {defined.kind} | {labels} | {', '.join(defined.roles)} | {defined.says} |"


def table() -> str:
    head = ["| metric | kind | labels | roles | what it measures |", "|---|---|---|---|---|"]
    return "\n".join([*head, *map(row, DEFINED.values())])


def test_the_table_of_metrics_is_that_of_the_definitions() -> None:
    [found] = re.findall(r"<!-- metrics: .* -->\n(.*?)\n?<!-- /metrics -->", GUIDE, re.DOTALL)

    assert found == table(), f"docs/operations.md should hold:\n\n{table()}\n"


def test_every_metric_that_the_guide_names_is_there() -> None:
    named = set(re.findall(r"`(formhub_\w+)", GUIDE))

    assert named <= DEFINED.keys()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_and_labels_that_are_there_and_the_guide_says_what_to_do(rule: Any) -> None:
    for name, labels in re.findall(r"(formhub_\w+)(?:\{([^}]*)\})?", rule["expr"]):
        base = next((name.removesuffix(suffix) for suffix in SUFFIXES if name.removesuffix(suffix) in DEFINED), name)
        assert base in DEFINED
        assert set(re.findall(r"(\w+)=", labels)) <= {*DEFINED[base].labels, "role"}
    assert rule["labels"]["severity"] in {"page", "warn"}
    [line] = [line for line in GUIDE.splitlines() if line.startswith("|") and f"`{rule['alert']}`" in line]
    assert rule["labels"]["severity"] in line


def test_every_check_of_the_doctor_is_explained() -> None:
    sections = [make() for make in report.SECTIONS]
    checks = [
        f"{section.name}: {name}"
        for section in sections
        for name, _ in ((section.first,) if section.first else ()) + tuple(section.checks)
    ]
    explained = re.findall(r"^\| ((?:[^|]+): [^|:]+) \| (?:bad|warn)", GUIDE, re.MULTILINE)

    assert explained == checks


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_of_logs_and_metrics_is_explained(name: str) -> None:
    assert f"| `{name}` |" in GUIDE
