"""`python -m bench.forms COUNT`: makes sure of that many student forms without actions; prints them as JSON.

A process of its own, so that a benchmark need not be a Django process.
"""

import json
import sys
from typing import Any

import django


def main() -> None:
    django.setup()
    from apps.console import samples

    count = int(sys.argv[1])
    organization = samples.organization("Bench", "bench")
    forms = [samples.student_form(organization, f"bench-{number}", f"Bench {number}") for number in range(count)]
    print(json.dumps([_described(form) for form in forms]))


def _described(form: Any) -> dict[str, str]:
    return {"id": str(form.pk), "public_id": form.public_id, "organization": str(form.organization_id)}


if __name__ == "__main__":
    main()
