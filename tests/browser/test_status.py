"""The status page as an operator sees it: in both themes, on a screen and on a phone, calm and in trouble."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import BrowserContext, Page

from apps.console.parts import NEEDED
from apps.console.tests.cast import a_member
from formhub.core import presence
from formhub.core.presence import Pulse
from tests.browser.axe import violations

pytestmark = pytest.mark.browser
Status = Callable[..., Page]
WIDTHS = (1280, 390, 320)
THEMES: tuple[Any, ...] = ("light", "dark")


@pytest.fixture
def status(context: BrowserContext, page: Page, transactional_db: None, live_server: Any, log: Any) -> Status:
    """Opens the page for an operator, with these parts alive."""
    operator: Client = a_member(None, is_staff=True, is_superuser=True)
    session = operator.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])

    def opened(*alive: str) -> Page:
        with presence._client() as client:
            client.delete(presence._KEY)
        Pulse(dict.fromkeys(alive, lambda: True)).say()
        page.goto(f"{live_server.url}/status/")
        return page

    return opened


@pytest.mark.parametrize("alive", [tuple(NEEDED), ("archive", "worker")], ids=["calm", "in trouble"])
def test_the_status_page_breaks_no_rule_and_fits_every_screen(status: Status, alive: tuple[str, ...]) -> None:
    page = status(*alive)
    assert page.get_by_role("heading", level=2).all_inner_texts()[:2] == ["Components", "Signs of life"]

    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_part_that_is_missing_says_what_does_not_happen(status: Status) -> None:
    row = status("web").get_by_role("row").filter(has_text="Clock (beat)")

    assert "not running" in row.inner_text()
    assert "Nobody asks what is due." in row.inner_text()
