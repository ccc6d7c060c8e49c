"""The delivery console in Chromium: each state in both themes on a phone, worked by keyboard, renewing itself."""

from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, expect

from apps.archive.tests.rows import a_form, rows
from apps.console.tests.cast import a_member
from apps.console.tests.test_deliveries import a_delivery, a_failure, an_action
from apps.forms.models import Form
from apps.orgs.models import Role
from apps.sinks import actions, tally
from apps.sinks.models import BatchState
from tests.browser.axe import violations

pytestmark = pytest.mark.browser
THEMES: tuple[Any, ...] = ("light", "dark")


@pytest.fixture
def form(context: BrowserContext, transactional_db: None, live_server: Any, log: Any) -> Form:
    """With an editor of its organization signed in."""
    form = a_form()
    session = a_member(form, Role.EDITOR).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    return form


def test_every_state_breaks_no_rule_and_fits_a_phone(form: Form, page: Page, live_server: Any) -> None:
    empty = reverse("deliveries", args=[a_form(slug="empty", title="Empty").public_id])
    oak, elm = an_action(form), an_action(form, "Elm")
    tally.delivered({oak.pk: 5})
    actions.pause(elm, "The shelf is gone.", "Buy a shelf.")
    rows(form, [7])
    a_failure(oak)
    batch = a_delivery(oak, 1, BatchState.PENDING, code="ambiguous", last_error="503.")
    places = {name: reverse(f"deliveries{name}", args=[form.public_id]) for name in ("", "-list", "-failed", "-replay")}
    one = reverse("delivery", args=[form.public_id, batch.pk])
    filling = reverse("deliveries-fill", args=[form.public_id, oak.pk])
    filtered = places["-list"] + "?submission=nonsense"

    for place in (empty, *places.values(), one, filling, filtered):
        page.goto(live_server.url + place)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            page.set_viewport_size({"width": 390, "height": 844})
            assert violations(page) == [], place
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, place


def test_it_renews_itself_and_is_worked_by_keyboard(form: Form, page: Page, live_server: Any) -> None:
    action = an_action(form)
    page.goto(live_server.url + reverse("deliveries", args=[form.public_id]))
    expect(page.locator("#chart canvas")).to_be_visible()

    actions.pause(action, "The shelf is gone.")
    expect(page.get_by_text("The shelf is gone.")).to_be_visible(timeout=15_000)
    page.get_by_role("button", name="Resume Oak").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_have_text("The action goes on with what has gathered.")
    assert violations(page) == []
    action.refresh_from_db()
    assert action.state == "on"
