"""The table of docs/reliability.md, from what the cases wrote down: `python -m tests.faults.report`."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(os.environ.get("FAULTS_RESULTS", ROOT / ".formhub" / "faults"))
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: written by `python -m tests.faults.report` -->", "<!-- /faults -->"
HEAD = [
    "| fault | sent | accepted | lost | doubled | out of order | time to recover | shows in |",
    "|---|---:|---:|---:|---:|---:|---:|---|",
]


def row(result: dict[str, Any]) -> str:
    recovery = "" if result["recovery"] is None else f"{result['recovery']:.0f} s"
    figures = [f"{result[name]:,}" for name in ("sent", "accepted", "lost", "doubled", "disordered")]
    return f"| {' | '.join([result['fault'], *figures, recovery, shown(result.get('shows', ''))])} |"


def shown(where: str) -> str:
    """An alert or a metric is a name to look for; "nowhere" has its reason in words."""
    return where if " " in where or not where else f"`{where}`"


def largest(results: list[dict[str, Any]]) -> str:
    """What each role took of memory, in the case that made it take the most."""
    roles = dict.fromkeys(role for each in results for role in each.get("memory", {}))
    sizes = {role: max(each.get("memory", {}).get(role, 0) for each in results) for role in roles}
    said = ", ".join(f"{role} {size / 1e6:.0f} MB" for role, size in sizes.items())
    return f"The most that the processes of a role took of memory in any of these cases: {said}."


def table(results: list[dict[str, Any]]) -> str:
    return "\n".join([*HEAD, *(row(each) for each in sorted(results, key=lambda each: each["fault"].lower()))])


def main() -> int:
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    if not results:
        print("Nothing was written down yet: make test-faults")
        return 1
    page = PAGE.read_text()
    made = f"{BEGIN}\n{table(results)}\n\n{largest(results)}\n{END}"
    PAGE.write_text(re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: made, page, flags=re.DOTALL))
    print(f"{len(results)} cases written to {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
