"""`python -m bench.actions JOB`: makes forms with actions as a JSON file says; prints their addresses and ids as JSON.

JOB: {"forms": [[{"kind", "settings", "name"}, ...], ...]}, a list of actions for each form. A process of its own, so
that a benchmark need not be a Django process.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import django


def main() -> None:
    django.setup()
    from apps.console import samples

    job = json.loads(Path(sys.argv[1]).read_text())
    organization = samples.organization("Bench", "bench")
    found = []
    for number, wanted in enumerate(job["forms"]):
        form = samples.student_form(organization, f"bench-{number}", f"Bench {number}")
        found.append({"form": form.public_id, "actions": [_action(form, each) for each in wanted]})
    print(json.dumps(found))


def _action(form: Any, wanted: Mapping[str, Any]) -> int:
    from apps.console import samples
    from apps.sinks import actions, positions
    from apps.sinks.registry import registry

    sink = registry.get(wanted["kind"])
    binding = actions.create(
        organization_id=form.organization_id,
        form_id=form.pk,
        sink=sink,
        name=wanted["name"],
        settings=samples.settings_of(sink, wanted["settings"]),
        position=positions.log_end(form.pk),
    )
    return int(binding.pk)


if __name__ == "__main__":
    main()
