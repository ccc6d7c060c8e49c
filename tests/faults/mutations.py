"""Take out one safeguard after the other and see that the suite notices: `python -m tests.faults.mutations [name ...]`.

Each mutant is FormHub with one promise-keeper gone, run through the case that should find it. Exits non-zero when a
mutant survives.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.harness.mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 600
BROKEN = ("lost", "doubled", "disordered", "leaked", "invented", "contradicted")


def main(names: Sequence[str]) -> int:
    survivors = [name for name in names or MUTANTS if not noticed(name, MUTANTS[name])]
    if survivors:
        print(f"The suite did not notice: {', '.join(survivors)}")
    return len(survivors)


def noticed(name: str, mutant: Mutant) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        code, said = run(name, mutant, Path(folder))
        found = broken(Path(folder))
    print(f"{name}: {mutant.says}\n    {mutant.case}: {found or 'no promise broken'}")
    if code and not found:
        print("\n".join(said.splitlines()[-15:]))
    # A failure alone says little: it has to be the promise that broke.
    return bool(code and found)


def run(name: str, mutant: Mutant, results: Path) -> tuple[int, str]:
    environment = {**os.environ, "FAULTS_MUTANT": name, "FAULTS_RESULTS": str(results)}
    place = next(path for path in sorted((ROOT / "tests" / "faults").glob("test_*.py")) if defines(path, mutant.case))
    # The case's own name has blanks and brackets, which -k does not take: the node's id does.
    node = f"{place.relative_to(ROOT)}::{mutant.case}"
    command = [sys.executable, "-m", "pytest", node, "--faults", "all", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done.returncode, done.stdout


def defines(path: Path, case: str) -> bool:
    return f"def {case.partition('[')[0]}(" in path.read_text()


def broken(results: Path) -> dict[str, int]:
    found: list[dict[str, Any]] = [json.loads(path.read_text()) for path in results.glob("*.json")]
    return {name: result[name] for result in found for name in BROKEN if result[name]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
