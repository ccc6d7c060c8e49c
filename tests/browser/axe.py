"""What axe-core finds wrong in a page: the rules of WCAG 2.2 AA that a program can check."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SOURCE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "rules": {"target-size": {"enabled": True}},  # of WCAG 2.2, and shipped switched off
    "resultTypes": ["violations", "incomplete"],
}


@cache
def _source() -> str:
    source = SOURCE.read_bytes()
    assert hashlib.sha256(source).hexdigest() == SHA256, f"{SOURCE} is not the file that was vendored"
    return source.decode()


def violations(page: Page) -> list[str]:
    """One line for each element that breaks a rule, with why."""
    # Evaluated rather than added as a script: the page's policy allows none but its own.
    page.evaluate(_source())
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", OPTIONS)
    return [
        f"{rule['id']}: {' '.join(node['target'])}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
