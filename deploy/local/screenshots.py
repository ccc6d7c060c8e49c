"""`make screenshots`: renews the pictures of the documentation from the running demo, in real Chromium.

They are taken at desktop and phone width, in the light theme, and stored in docs/images. The demo must be a fresh one
(`make clean-demo`): what it shows is shown.
"""

import argparse
import json
import shutil
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from deploy.local.manage import FOLDER
from deploy.local.roles import ROOT

IMAGES = ROOT / "docs" / "images"
WIDTHS = {"desktop": (1280, 800), "phone": (390, 844)}
SECONDS = 15
STUDENT = {
    "name": "Asha Rao",
    "roll": "20117",
    "email": "asha.rao@example.org",
    "university": "Pune College",
    "cgpa": "8.7",
    "tech": "Python, Kafka",
    "gender": "F",
    "age": "21",
    "mobile": "9876543210",
}


@dataclass(frozen=True)
class Shot:
    """A picture: `open` brings a page to what is to be seen."""

    name: str
    open: Callable[[Page, dict[str, Any]], None]
    signed_in: bool = False


def form(page: Page, demo: dict[str, Any]) -> None:
    page.goto(f"{demo['web']}/f/{demo['form']}/")


def errors(page: Page, demo: dict[str, Any]) -> None:
    form(page, demo)
    page.fill("[name=cgpa]", "11")
    page.click("main form button[type=submit]")
    page.wait_for_selector("[role=alert]")


def ending(page: Page, demo: dict[str, Any]) -> None:
    form(page, demo)
    for name in ("name", "roll", "email", "cgpa", "age", "mobile"):
        page.fill(f"[name={name}]", STUDENT[name])
    page.click("main form button[type=submit]")
    page.wait_for_url("**/done/**")


def receipt(page: Page, demo: dict[str, Any]) -> None:
    ending(page, demo)
    page.click("a[href*='/r/']")


def sheet(page: Page, demo: dict[str, Any]) -> None:
    page.goto(demo["sheets"]["grid_url"])


def status(page: Page, demo: dict[str, Any]) -> None:
    page.goto(demo["status_url"])


def admin(page: Page, demo: dict[str, Any]) -> None:
    page.goto(demo["admin"]["url"])


def form_in_admin(page: Page, demo: dict[str, Any]) -> None:
    page.goto(demo["form_url"])


def submissions(page: Page, demo: dict[str, Any]) -> None:
    page.goto(f"{demo['web']}/admin/archive/submission/")


def deliveries(page: Page, demo: dict[str, Any]) -> None:
    page.goto(f"{demo['web']}/admin/sinks/batch/")


SHOTS = (
    Shot("form", form),
    Shot("errors", errors),
    Shot("ending", ending),
    Shot("receipt", receipt),
    Shot("sheet", sheet),
    Shot("status", status, signed_in=True),
    Shot("admin", admin, signed_in=True),
    Shot("admin-form", form_in_admin, signed_in=True),
    Shot("admin-submissions", submissions, signed_in=True),
    Shot("admin-deliveries", deliveries, signed_in=True),
)


def take(browser: Browser, demo: dict[str, Any], folder: Path) -> None:
    for device, (width, height) in WIDTHS.items():
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="light")
        context.set_default_timeout(SECONDS * 1000)
        page = context.new_page()
        sign_in(page, demo)
        stranger = browser.new_context(viewport={"width": width, "height": height}, color_scheme="light").new_page()
        for shot in SHOTS:
            shown = page if shot.signed_in else stranger
            shot.open(shown, demo)
            shown.wait_for_load_state("networkidle")
            keep(shown.screenshot(), folder / f"{shot.name}-{device}.png")
        context.close()
        stranger.context.close()


def keep(taken: bytes, path: Path) -> None:
    """With few colours: a picture of a page needs no more, and takes a third of the room."""
    Image.open(BytesIO(taken)).convert("RGB").quantize(96).save(path, optimize=True)
    print(path.name)


def sign_in(page: Page, demo: dict[str, Any]) -> None:
    page.goto(demo["admin"]["url"])
    page.fill("[name=username]", demo["admin"]["user"])
    page.fill("[name=password]", demo["admin"]["password"])
    page.click("[type=submit]")
    page.wait_for_load_state("networkidle")


def some_submissions(demo: dict[str, Any], count: int) -> None:
    """So that lists and the Sheet have something to show."""
    names = ("Asha Rao", "Vikram Iyer", "Meera Nair", "Kabir Singh", "Lata Joshi", "Rohan Das")
    for number in range(count):
        name = names[number % len(names)]
        answers = {**STUDENT, "name": name, "roll": str(20_117 + number), "cgpa": f"{6 + number % 4}.{number % 10}"}
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"screenshots-{number}"}
        request = urllib.request.Request(demo["submit_url"], json.dumps(answers).encode(), headers)  # noqa: S310
        urllib.request.urlopen(request, timeout=SECONDS).close()  # noqa: S310 - the demo's own address


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy.local.screenshots", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the demo keeps its data")
    parser.add_argument("--output", type=Path, default=IMAGES)
    options = parser.parse_args()
    description = options.folder / "demo.json"
    chromium = shutil.which("chromium")
    if not description.exists() or chromium is None:
        print("This needs a running demo (`make demo`) and Chromium (`apt-get install chromium`).", file=sys.stderr)
        return 1
    demo = json.loads(description.read_text())
    options.output.mkdir(parents=True, exist_ok=True)
    some_submissions(demo, 24)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        take(browser, demo, options.output)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
