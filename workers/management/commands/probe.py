"""For the probes of containers without a port: `manage.py probe archive deliver`, `manage.py probe worker`."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from workers.heartbeat import age, longest


class Command(BaseCommand):
    help = "End with 0 if each named part of a role gave a sign of life lately, else with 1 and the reason."
    requires_system_checks = ()  # it is asked every few seconds

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "names", nargs="+", metavar="NAME", help="a loop (archive, deliver), beat, or a worker's name before its @"
        )
        parser.add_argument("--seconds", type=float, help="how old the last sign may be (loops: 300, others: 60)")

    def handle(self, *args: Any, **options: Any) -> None:
        names = [each for name in options["names"] for each in _meant(name)]
        trouble = [said for name in names if (said := _trouble(name, options["seconds"] or longest(name)))]
        if trouble:
            raise CommandError(" ".join(trouble))
        self.stdout.write("alive")


def _meant(name: str) -> list[str]:
    """The loops of processors are known by their signs: loading the processors would take a probe too long."""
    signs = settings.HEARTBEAT_DIR.glob("*.*") if name == "processors" else ()
    return sorted(sign.name for sign in signs) or [name]


def _trouble(name: str, seconds: float) -> str:
    path = settings.HEARTBEAT_DIR / name
    silent = age(path)
    if silent == float("inf"):
        return f"{name} never gave a sign: is it running, and with HEARTBEAT_DIR={settings.HEARTBEAT_DIR}?"
    if silent > seconds:
        return f"{name} was silent for {silent:.0f} s, {seconds:.0f} s are allowed: restart it."
    return ""
