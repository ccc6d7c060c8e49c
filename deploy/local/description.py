"""What a running demo tells: `demo.json` for scripts, and what to open for people."""

import json
from collections.abc import Mapping
from typing import Any

from deploy.local.roles import SPREADSHEET, Place

SAMPLE = {
    "name": "Test Student",
    "roll": "99999",
    "university": "BCE",
    "cgpa": "8.04",
    "gender": "F",
    "age": "10.11",
    "email": "student@example.org",
    "mobile": "9876543210",
}


def describe(
    place: Place,
    setup: Mapping[str, Any],
    sheets: Mapping[str, Any],
    environment: Mapping[str, str],
    processes: Mapping[str, list[int]],
) -> dict[str, Any]:
    """`setup` and `sheets`: what setup_demo and the emulator wrote down."""
    spreadsheet = sheets["spreadsheets"][SPREADSHEET]
    return {
        **{name: value for name, value in setup.items() if name != "spreadsheet"},
        "metrics_url": f"{place.web}/metrics",
        "status_url": f"{place.web}/status/",
        "sheets": {
            "url": place.sheets,
            "spreadsheet_id": spreadsheet,
            "worksheet": "Submissions",
            "grid_url": f"{place.sheets}/spreadsheets/{spreadsheet}",
            "service_account_file": sheets["service_account_file"],
            "reader_service_account_file": sheets["reader_service_account_file"],
        },
        "postgres": environment["DATABASE_URL"],
        "redis": environment["REDIS_URL"],
        "redis_buffer": environment["REDIS_BUFFER_URL"],
        "kafka": environment["KAFKA_BOOTSTRAP_SERVERS"],
        "processes": dict(processes),
    }


def curl(demo: Mapping[str, Any]) -> str:
    return f"curl -X POST {demo['submit_url']} -H 'Content-Type: application/json' -d '{json.dumps(SAMPLE)}'"


def to_open(demo: Mapping[str, Any]) -> list[tuple[str, str]]:
    admin, sheets = demo["admin"], demo["sheets"]
    return [
        ("Admin", f"{admin['url']}   user {admin['user']}   password {admin['password']}"),
        ("Page", f"{demo['web']}/f/{demo['form']}/"),
        ("Form", demo["form_url"]),
        ("Sheet", f"{sheets['grid_url']}   (emulated)"),
        ("Status", demo["status_url"]),
        ("Metrics", demo["metrics_url"]),
        ("API key", demo["api_key"]),
        ("Submit", curl(demo)),
    ]
