"""Make a package that brings a kind of action: `manage.py startsink ticker`."""

import keyword
import re
from argparse import ArgumentParser
from pathlib import Path
from string import Template
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.sinks.registry import registry

SCAFFOLD = Path(__file__).resolve().parent.parent.parent / "scaffold"
SUFFIX = "-tpl"  # so that nothing takes a template for what it becomes
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LENGTH = 40


class Command(BaseCommand):
    help = "Make an installable package with a kind of action that works, and its tests."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the kind, as it is stored with actions: small letters, digits, _")
        parser.add_argument("--label", default="", help="what people read; made of the name if it is left out")
        parser.add_argument("--folder", type=Path, default=Path(), help="where the package's folder is made")

    def handle(self, *args: Any, **options: Any) -> None:
        words = _words(options["name"], options["label"])
        folder: Path = options["folder"] / words["distribution"]
        if folder.exists():
            raise CommandError(f"{folder} exists, and nothing is overwritten. Remove it, or choose another --folder.")
        if not options["folder"].is_dir():
            raise CommandError(f"There is no folder {options['folder']}.")
        for source in sorted(SCAFFOLD.rglob(f"*{SUFFIX}")):
            _write(source, folder, words)
        self.stdout.write(_next_steps(folder, words))


def _words(name: str, label: str) -> dict[str, str]:
    """What the templates are filled with. Raises CommandError."""
    if not NAME.fullmatch(name) or len(name) > LENGTH or keyword.iskeyword(name):
        raise CommandError(
            f"{name!r} cannot be a kind's name: small letters, digits and single _, a letter first, "
            f"{LENGTH} characters at most, no word of Python. For example: ticker, postal_mail."
        )
    if name in registry.names():
        raise CommandError(f"There is a kind {name!r} already. Choose another name.")
    if re.search(r"[\"\\$\n]", label):
        raise CommandError('The label holds one of " \\ $ or a new line: leave it out.')
    return {
        "name": name,
        "label": label or name.replace("_", " ").capitalize(),
        "class_name": "".join(word.capitalize() for word in name.split("_")),
        "package": f"formhub_{name}",
        "distribution": f"formhub-{name.replace('_', '-')}",
    }


def _write(source: Path, folder: Path, words: dict[str, str]) -> None:
    parts = source.relative_to(SCAFFOLD).with_name(source.name.removesuffix(SUFFIX)).parts
    target = folder.joinpath(*(words["package"] if part == "package" else part for part in parts))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(Template(source.read_text()).substitute(words))


def _next_steps(folder: Path, words: dict[str, str]) -> str:
    return (
        f"{folder} is a package with a kind of action that works. Next:\n"
        f"  1. See that it does: cd {folder} && PYTHONPATH={SCAFFOLD.parent.parent.parent} pytest\n"
        f"  2. Make src/{words['package']}/sink.py speak to your service; docs/sinks.md says what is promised.\n"
        f"  3. Install it where FormHub runs: pip install {folder}, then manage.py check.\n"
        f"  4. Restart FormHub. The admin offers {words['label']!r} among the kinds of actions."
    )
