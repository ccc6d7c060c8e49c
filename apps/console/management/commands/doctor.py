"""Looks at the whole installation and says how to mend what is wrong. It changes nothing."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from apps.console.doctor.report import findings
from apps.console.doctor.verdict import Finding, Level

SIGNS = {Level.GOOD: "✓", Level.WARN: "!", Level.BAD: "✗"}
PLAIN = {Level.GOOD: "+", Level.WARN: "!", Level.BAD: "x"}
WIDTH = 46


class Command(BaseCommand):
    help = "Check settings, services, processes and deliveries; ends with 1 if anything is bad."
    requires_system_checks = ()  # it runs them itself, and goes on

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the findings as a JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        found: list[Finding] = []
        for finding in findings():
            found.append(finding)
            if not options["json"]:
                self._say(finding)
        counts = {level: sum(finding.level is level for finding in found) for level in Level}
        if options["json"]:
            document = {"counts": counts, "findings": [asdict(finding) for finding in found]}
            self.stdout.write(json.dumps(document, indent=2))
        else:
            self.stdout.write(", ".join(f"{count} {level}" for level, count in counts.items()))
        if counts[Level.BAD]:
            sys.exit(1)

    def _say(self, finding: Finding) -> None:
        style: dict[Level, Callable[[str], str]] = {
            Level.GOOD: self.style.SUCCESS,
            Level.WARN: self.style.WARNING,
            Level.BAD: self.style.ERROR,
        }
        word = style[finding.level](f"{self._signs[finding.level]} {finding.level:4}")
        self.stdout.write(f"{word}  {f'{finding.part}: {finding.check}':{WIDTH}}  {finding.says}")
        for line in finding.remedy.splitlines():
            self.stdout.write(f"        {line}")

    @property
    def _signs(self) -> dict[Level, str]:
        encoding = getattr(self.stdout, "encoding", None) or "ascii"
        return SIGNS if encoding.lower().startswith("utf") else PLAIN
