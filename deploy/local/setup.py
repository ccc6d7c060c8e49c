"""Django's part of getting ready, in one process: tables, topic, the demo's data, the queues that a worker takes from.

Every step is safe to repeat. What a service says when it is away is said in a line, with the variable to look at.
"""

import argparse
import os
import sys
from pathlib import Path

import django
import redis
from django.core.management import CommandError, call_command
from django.db import OperationalError


def prepare(folder: Path, web: str, spreadsheet: str) -> None:
    for name in ("REDIS_URL", "REDIS_BUFFER_URL"):
        redis.Redis.from_url(os.environ[name], socket_connect_timeout=3, socket_timeout=3).ping()
    call_command("migrate", verbosity=1, interactive=False)
    call_command("ensure_topics")
    call_command(
        "setup_demo",
        web=web,
        spreadsheet=spreadsheet,
        password_file=folder / "owner-password",
        output=folder / "setup.json",
    )
    with (folder / "queues").open("w") as file:
        call_command("queues", stdout=file)


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy.local.setup", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--web", required=True)
    parser.add_argument("--spreadsheet", required=True)
    options = parser.parse_args()
    django.setup()
    try:
        prepare(options.folder, options.web, options.spreadsheet)
    except OperationalError as error:
        print(f"The database does not answer: {str(error).strip()} Look at DATABASE_URL.", file=sys.stderr)
    except redis.RedisError as error:
        print(f"Redis does not answer: {error} Look at REDIS_URL and REDIS_BUFFER_URL.", file=sys.stderr)
    except CommandError as error:
        print(error, file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
