"""Every state of the pages that respondents see, in both themes, at all widths: rules, reflow, targets, text size."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from apps.forms.models import Form
from tests.browser.axe import violations
from tests.browser.forms import EVENT, STUDENT

pytestmark = pytest.mark.browser

Publish = Callable[..., Form]
Address = Callable[..., str]
WIDTHS = (1280, 390, 320)
THEMES: tuple[Any, ...] = ("light", "dark")
FILLED_IN = "?name=Ada&email=ada@example.org"


class Visitor:
    """Brings a page into one of its states."""

    def __init__(self, page: Page, publish: Publish, address: Address, site: str) -> None:
        self.page = page
        self.publish = publish
        self.address = address
        self.site = site

    def open(self, document: dict[str, Any], query: str = "", **changes: Any) -> None:
        self.page.goto(self.address(self.publish(document, **changes), query))

    def send(self) -> None:
        with self.page.expect_navigation():
            self.page.locator("#answers > .button").click()

    def empty(self) -> None:
        self.open(EVENT, "?lang=en")

    def errors(self) -> None:
        self.open(EVENT, "?lang=en&email=ada&room=s&room=d&food=x&first=x&nights=x&budget=x&site=x&phone=x")
        self.send()
        expect(self.page.get_by_role("alert")).to_be_visible()

    def right_to_left(self) -> None:
        self.open(EVENT, "?lang=ar")

    def right_to_left_errors(self) -> None:
        self.right_to_left()
        self.send()

    def ending(self) -> None:
        self.open(STUDENT, FILLED_IN)
        self.send()
        expect(self.page.get_by_role("heading", name="Thank you")).to_be_visible()

    def receipt(self) -> None:
        self.ending()
        self.page.get_by_role("link", name="Your receipt").click()
        self.page.wait_for_url("**/r/**")

    def other_answers(self) -> None:
        self.ending()
        self.page.go_back()
        self.page.get_by_label("Name").fill("Grace")
        self.send()
        expect(self.page.get_by_role("alert")).to_be_visible()

    def limited(self) -> None:
        form = self.publish(STUDENT, rates={"per_address": "1/hour"})
        for _ in range(2):
            self.page.goto(self.address(form, FILLED_IN))
            self.send()
        expect(self.page.get_by_role("alert")).to_contain_text("send them again in")

    def embed(self) -> None:
        self.open(STUDENT, "?embed=1")

    def closed(self) -> None:
        self.open(STUDENT, closed_at=timezone.now(), closed_text="We closed on Friday.")

    def unknown(self) -> None:
        self.page.goto(f"{self.site}/f/nothing/")

    def no_ending(self) -> None:
        self.open(STUDENT, "done/thanks/")

    def no_receipt(self) -> None:
        self.page.goto(f"{self.site}/r/nothing/")

    def nowhere(self) -> None:
        self.page.goto(f"{self.site}/nothing/")


STATES = [name for name, value in vars(Visitor).items() if callable(value) and name not in {"__init__", "open", "send"}]


@pytest.fixture
def visitor(page: Page, publish: Publish, address: Address, live_server: Any) -> Visitor:
    # Colours on their way to the other theme would be those of neither.
    page.emulate_media(reduced_motion="reduce")
    return Visitor(page, publish, address, live_server.url)


@pytest.mark.parametrize("state", STATES)
def test_no_rule_is_broken_and_everything_fits(visitor: Visitor, state: str) -> None:
    page = visitor.page
    getattr(visitor, state)()

    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            assert violations(page) == [], f"{state} at {width} px, {theme}"
        assert overflow(page) == 0, f"{state} at {width} px"
    assert small_targets(page) == []


@pytest.mark.parametrize("state", ["errors", "right_to_left", "ending", "other_answers"])
def test_text_of_twice_the_size_still_fits(visitor: Visitor, state: str) -> None:
    getattr(visitor, state)()
    visitor.page.evaluate("document.documentElement.style.fontSize = '200%'")

    for width in (1280, 390):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        assert overflow(visitor.page) == 0, f"{state} at {width} px"
    assert visitor.page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") == 32


def test_nothing_moves_without_being_asked(visitor: Visitor) -> None:
    visitor.empty()
    moving = "[...document.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > 0)"
    assert visitor.page.evaluate(f"{moving}.length") == 0


def test_in_forced_colours_what_is_chosen_can_be_told(visitor: Visitor) -> None:
    visitor.page.emulate_media(forced_colors="active")
    visitor.empty()
    assert visitor.page.get_by_label("Single").evaluate("e => getComputedStyle(e).appearance") == "auto"


def overflow(page: Page) -> int:
    """Pixels that one would have to scroll sideways for."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


def small_targets(page: Page) -> list[str]:
    """What one taps and is lower than 44 pixels. A choice is tapped on its whole line."""
    found: list[str] = page.evaluate(
        """[...document.querySelectorAll('.input, .button, .choice, .languages a, .summary li a')]
             .filter(element => element.getBoundingClientRect().height < 44)
             .map(element => element.outerHTML)"""
    )
    return found
