"""What owners are shown and asked, on a screen and on a phone: an action's page, a replay, an erasure."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse
from playwright.sync_api import BrowserContext, Locator, Page, expect

from apps.archive.models import Submission, Tombstone
from apps.archive.tests.rows import a_form, rows
from apps.console.tests.cast import a_member
from apps.forms import published
from apps.forms.models import Form
from apps.orgs.models import Role
from apps.sinks import actions
from apps.sinks.builtin.google_sheets.memory import Memory, Tab, name_of
from apps.sinks.builtin.google_sheets.sink import GoogleSheets
from apps.sinks.config import Settings
from apps.sinks.models import Binding, Destination, Parked, Walk
from apps.sinks.replay import UNKNOWN
from sheets_emulator.auth import make_key
from tests.browser.axe import violations

pytestmark = pytest.mark.browser
Open = Callable[[str], Page]
WIDTHS = (1280, 390)
TABS_MAX = 60
GOOGLE = "https://oauth2.googleapis.com/token"
REASON = "The service account may not write to the spreadsheet 1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdEF."
REMEDY = "Share the spreadsheet with formhub@example.iam.gserviceaccount.com as an editor, then resume the action."


@pytest.fixture
def form(transactional_db: None, log: Any) -> Iterator[Form]:
    yield a_form()
    published.clear()
    with connection.cursor() as cursor:  # the table of submissions is not Django's own
        cursor.execute("TRUNCATE archive_submission")


@pytest.fixture
def open_page(form: Form, context: BrowserContext, page: Page, live_server: Any, settings: Any) -> Open:
    """Opens a page for an owner of the form's organization."""
    session = a_member(form, Role.OWNER).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    page.emulate_media(reduced_motion="reduce")  # colours on their way would be those of neither state

    def opened(path: str) -> Page:
        page.goto(f"{live_server.url}{path}")
        return page

    return opened


@pytest.fixture
def action(form: Form, settings: Any, tmp_path: Path) -> Binding:
    key = tmp_path / "key.json"  # without an account to write with, its page would not save
    key.write_text(json.dumps(make_key("sheets@acme.iam.gserviceaccount.com", "acme", GOOGLE)))
    settings.SHEETS_SERVICE_ACCOUNT_FILE = str(key)
    return actions.create(
        organization_id=form.organization_id,
        form_id=form.pk,
        sink=GoogleSheets,
        name="Everything to the Sheet of the registrar's office",
        settings=Settings({"spreadsheet": "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdEF", "worksheet": "Data"}, {}),
        position=0,
    )


def fails(action: Binding, count: int, code: str = "too_long") -> None:
    begin = Parked.objects.count() + 1
    for row in rows(action.form, range(begin, begin + count)):
        Parked.objects.create(
            organization_id=action.organization_id, binding=action, form_id=action.form_id, submission_id=row.id,
            position=row.position, code=code, message="The answer has 61,204 characters; a cell takes 50,000.",
        )  # fmt: skip


def page_of(action: Binding) -> str:
    return reverse("admin:sinks_binding_change", args=[action.pk])


def check(page: Page) -> None:
    """No rule is broken, and nothing has to be scrolled sideways for, at all widths."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == [], f"{width} px"
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def reached_by_tab(page: Page, wanted: Locator) -> None:
    """From where the focus is, with its ring to be seen."""
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            break
    expect(wanted).to_be_focused()
    assert wanted.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"


def test_the_page_of_a_paused_action_says_what_waits_why_and_what_to_do(open_page: Open, action: Binding) -> None:
    fails(action, 2)
    Binding.objects.filter(pk=action.pk).update(settled_to=2)
    rows(action.form, [3, 4, 5])
    actions.pause(action, REASON, REMEDY)
    Walk.objects.create(
        binding=action, purpose=Walk.Purpose.FILL, state=Walk.State.PAUSED, start=0, cursor=10, until=40, examined=1
    )
    memory = Memory(tabs={7: Tab("Data", 25, 360_000, names=[name_of("Data")], written={"age": ("Age", "")})})
    Destination.objects.filter(pk=action.destination_id).update(state=memory.as_json())

    page = open_page(page_of(action))

    card = page.locator(".fh-card")
    for said in ("Paused", "3 waiting", "2 failed", REASON, REMEDY, "Nothing is lost", "1 submission looked at"):
        expect(card).to_contain_text(said)
    expect(card).to_contain_text("The spreadsheet is 90 % full.")
    expect(card).to_contain_text("their columns were deleted in the sheet: Age")
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 10)
    check(page)

    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_text("The action goes on with what has gathered.")).to_be_visible()
    action.refresh_from_db()
    assert action.state == "on"


def test_a_replay_is_asked_about_first_and_done_by_keyboard(open_page: Open, action: Binding) -> None:
    fails(action, 2)
    fails(action, 1, UNKNOWN)
    page = open_page(page_of(action))

    page.get_by_role("link", name="Try failed ones again").click()
    expect(page.get_by_text("2 failed submissions will be tried again.")).to_be_visible()
    expect(page.get_by_label("Also 1 that may have arrived")).not_to_be_checked()
    check(page)
    page.set_viewport_size({"width": 1280, "height": 900})
    reached_by_tab(page, page.get_by_role("button", name="Try again"))
    page.keyboard.press("Enter")

    expect(page.get_by_text("2 submissions will be tried again.")).to_be_visible()
    assert Parked.objects.filter(again=True).count() == 2


def test_what_is_never_delivered_twice_says_so_and_offers_no_button(open_page: Open, action: Binding) -> None:
    path = reverse("admin:sinks_binding_replay", args=[action.pk])
    page = open_page(f"{path}?of=delivered")

    expect(page.get_by_text("delivers each submission once")).to_be_visible()
    expect(page.locator(".fh-card").get_by_role("button")).to_have_count(0)
    check(page)


def test_the_list_of_what_failed_says_what_it_is_for_while_it_is_empty(open_page: Open, action: Binding) -> None:
    address = reverse("admin:sinks_parked_changelist")
    page = open_page(address)
    expect(page.get_by_text("What could not be delivered is kept here with its reason")).to_be_visible()
    check(page)

    fails(action, 1)
    page = open_page(address)
    expect(page.get_by_role("cell", name="too_long")).to_be_visible()
    check(page)


def test_an_erasure_names_what_it_does_not_reach_and_is_done_from_the_submissions_page(
    open_page: Open, action: Binding, form: Form
) -> None:
    row, other = rows(form, [1, 2])
    page = open_page(reverse("submission", args=[form.public_id, row.id]))
    check(page)

    page.get_by_role("link", name="Erase this submission").click()
    expect(page.get_by_role("heading", name="What erasing does not reach")).to_be_visible()
    expect(page.get_by_text("It was not delivered anywhere.")).to_be_visible()
    check(page)
    expect(page.get_by_role("link", name="Keep it")).to_have_attribute(
        "href", reverse("submission", args=[form.public_id, row.id])
    )
    page.get_by_role("button", name="Erase the submission").click()

    expect(page.get_by_text("The submission was erased.")).to_be_visible()
    assert [kept.id for kept in Submission.objects.all()] == [other.id]
    assert Tombstone.objects.get().submission_id == row.id
