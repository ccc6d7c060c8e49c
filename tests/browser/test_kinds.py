"""The page of the kinds of action, for operators, on a screen and on a phone."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, expect

from apps.archive.tests.rows import a_form
from apps.console.tests.cast import a_member
from apps.forms import published
from apps.orgs.models import Role
from apps.sinks import registry as module
from apps.sinks.registry import BUILTIN, GROUP, Registry
from tests.browser.axe import violations

pytestmark = pytest.mark.browser
WIDTHS = (1280, 390)


class Package:
    name, version = "formhub-letterbox-of-the-registrars-office", "2026.11.24"


class PointOf(EntryPoint):
    """An entry point as an installed package's."""

    dist: ClassVar[Any] = Package()


@pytest.fixture
def opened(
    transactional_db: None,
    valkey_service: Any,
    context: BrowserContext,
    page: Page,
    live_server: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Page]:
    """The page with the built-in kinds and one whose module is broken."""
    points = [PointOf("letterbox", "apps.sinks.tests.no_such_module:Letterbox", GROUP)]
    monkeypatch.setattr(module, "entry_points", lambda group: points)
    monkeypatch.setattr("apps.sinks.admin.kinds.registry", Registry(BUILTIN, GROUP))
    session = a_member(a_form(), Role.OWNER, is_staff=True).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    page.emulate_media(reduced_motion="reduce")
    page.goto(live_server.url + reverse("admin:sinks_kinds"))
    yield page
    published.clear()


def test_what_does_not_load_comes_first_and_says_what_to_do(opened: Page) -> None:
    first = opened.locator(".fh-card").first
    for said in ("letterbox", "Does not load", "no_such_module", "Repair or remove the package", "2026.11.24"):
        expect(first).to_contain_text(said)
    expect(opened.locator(".fh-card", has_text="Google Sheets")).to_contain_text("Loads")

    for width in WIDTHS:
        opened.set_viewport_size({"width": width, "height": 900})
        assert violations(opened) == [], f"{width} px"
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
