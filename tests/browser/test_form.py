"""Filling in a form as people do: with a mouse, with keys alone, without scripts, in a frame, when things go wrong."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from apps.forms.models import Form
from apps.intake import process
from apps.intake.commit import Bounds
from apps.intake.keep import Keeper
from apps.intake.tests.outboxes import MemoryStore
from apps.intake.tests.test_services import Log
from tests.browser.forms import EVENT, STUDENT

pytestmark = pytest.mark.browser

Publish = Callable[..., Form]
Address = Callable[..., str]
SEND = "Send answers"


def sent(log: Log, form: Form) -> list[dict[str, Any]]:
    return [envelope.answers for envelope in log.envelopes() if envelope.form == form.pk]


def fill_in(page: Page | FrameLocator) -> None:
    page.get_by_label("Name").fill("Ada Lovelace")
    page.get_by_label("E-mail").fill("ada@example.org")
    page.get_by_label("CGPA").fill("9.1")
    page.get_by_label("Female").check()


FILLED_IN = {"name": "Ada Lovelace", "email": "ada@example.org", "cgpa": 9.1, "gender": "F"}


def test_without_scripts_the_form_is_filled_in_and_sent(
    browser: Browser, publish: Publish, address: Address, log: Log
) -> None:
    form = publish(STUDENT)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address(form))
    page.get_by_role("button", name=SEND).click()
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
    fill_in(page)
    page.get_by_role("button", name=SEND).click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you, your data was received.")
    assert sent(log, form) == [FILLED_IN]
    assert context.cookies() == []
    context.close()


def test_keys_alone_are_enough(page: Page, publish: Publish, address: Address, log: Log) -> None:
    form = publish(STUDENT)
    page.goto(address(form))
    keys = page.keyboard
    keys.press("Tab")
    keys.type("Ada Lovelace")
    keys.press("Tab")  # roll number
    keys.press("Tab")
    keys.type("ada@example.org")
    for _ in range(3):  # mobile, university, CGPA
        keys.press("Tab")
    keys.type("9.1")
    for _ in range(2):  # technologies, gender
        keys.press("Tab")
    keys.press("Space")
    keys.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you, your data was received.")
    assert sent(log, form) == [FILLED_IN]


def test_what_needs_a_change_is_read_first_and_leads_to_its_input(
    page: Page, publish: Publish, address: Address
) -> None:
    page.goto(address(publish(EVENT), "?lang=en"))
    page.get_by_role("button", name=SEND).click()

    expect(page).to_have_title("Error: Event sign-up")
    expect(page.locator(".summary")).to_be_focused()
    page.get_by_role("link", name="Your name: Answer this question.").click()
    expect(page.get_by_label("Your name")).to_be_focused()
    page.get_by_role("link", name="Room: Answer this question.").click()
    expect(page.get_by_label("Single")).to_be_focused()
    page.get_by_role("link", name="Consent: Answer this question.").click()
    expect(page.get_by_label("I agree that my answers are kept.")).to_be_focused()
    expect(page.get_by_label("Your name")).to_have_accessible_description("Error: Answer this question.")


def test_answers_stay_when_others_need_a_change(page: Page, publish: Publish, address: Address) -> None:
    page.goto(address(publish(EVENT), "?lang=en"))
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("radio", name="Other").check()
    page.get_by_role("group", name="Food").get_by_label("Vegetarian").check()
    page.locator("#field-room-own").fill("A tent")
    page.get_by_label("T-shirt").select_option("M")
    page.get_by_label("Day").fill("2026-12-31")
    page.get_by_label("I agree").check()
    page.get_by_role("button", name=SEND).click()

    expect(page.get_by_role("alert")).to_contain_text("E-mail: Answer this question.")
    expect(page.get_by_label("Your name")).to_have_value("Ada")
    expect(page.get_by_role("radio", name="Other")).to_be_checked()
    expect(page.get_by_label("Vegetarian")).to_be_checked()
    expect(page.locator("#field-room-own")).to_have_value("A tent")
    expect(page.get_by_label("T-shirt")).to_have_value("M")
    expect(page.get_by_label("Day")).to_have_value("2026-12-31")
    expect(page.get_by_label("I agree")).to_be_checked()


def test_a_double_click_sends_once(page: Page, publish: Publish, address: Address, log: Log) -> None:
    form = publish(STUDENT)
    page.goto(address(form))
    fill_in(page)
    page.get_by_role("button", name=SEND).dblclick()

    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you, your data was received.")
    assert sent(log, form) == [FILLED_IN]


def test_going_back_and_sending_again_is_still_once(page: Page, publish: Publish, address: Address, log: Log) -> None:
    form = publish(STUDENT)
    page.goto(address(form))
    fill_in(page)
    page.get_by_role("button", name=SEND).click()
    page.wait_for_url("**/done/**")
    first = page.url
    page.go_back()
    expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")
    page.get_by_role("button", name=SEND).click()
    page.wait_for_url("**/done/**")

    assert page.url == first
    assert len(sent(log, form)) == 1


def test_other_answers_after_going_back_are_sent_only_when_asked_for(
    page: Page, publish: Publish, address: Address, log: Log
) -> None:
    form = publish(STUDENT)
    page.goto(address(form))
    fill_in(page)
    page.get_by_role("button", name=SEND).click()
    page.wait_for_url("**/done/**")
    page.go_back()
    page.get_by_label("Name").fill("Grace Hopper")
    page.get_by_role("button", name=SEND).click()

    expect(page.get_by_role("alert")).to_contain_text("You sent other answers from this page before")
    expect(page.locator(".summary")).to_be_focused()
    assert len(sent(log, form)) == 1
    page.get_by_role("button", name="Send as new answers").first.click()
    page.wait_for_url("**/done/**")
    assert [answers["name"] for answers in sent(log, form)] == ["Ada Lovelace", "Grace Hopper"]


@pytest.fixture
def no_outbox() -> Iterator[None]:
    """The second door is shut."""
    before = process.keeper.install(Keeper(MemoryStore(broken=True), Bounds(items=10, bytes=1_000_000, seconds=1)))
    yield
    process.keeper.install(before)


@pytest.mark.usefixtures("no_outbox")
def test_while_both_doors_are_shut_nothing_typed_is_lost(
    page: Page, publish: Publish, address: Address, log: Log, kafka_service: Any
) -> None:
    form = publish(STUDENT)
    page.goto(address(form))
    fill_in(page)
    kafka_service.pause()
    try:
        page.get_by_role("button", name=SEND).click()
        expect(page.get_by_role("alert")).to_contain_text("Your answers were not sent yet")
    finally:
        kafka_service.resume()
    expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")
    expect(page.get_by_label("Female")).to_be_checked()
    send_until_taken(page)

    assert {frozenset(answers.items()) for answers in sent(log, form)} == {frozenset(FILLED_IN.items())}
    assert len({envelope.id for envelope in log.envelopes() if envelope.form == form.pk}) == 1


def send_until_taken(page: Page) -> None:
    """As somebody does who is told to press again."""
    for _ in range(60):
        with page.expect_navigation():
            page.get_by_role("button", name=SEND).click()
        if "/done/" in page.url:
            return
        page.wait_for_timeout(500)
    raise AssertionError("the log did not come back")


class OtherSite(BaseHTTPRequestHandler):
    """Another site's page, with whatever its address names in a frame."""

    def do_GET(self) -> None:
        address = parse_qs(urlsplit(self.path).query).get("show", [""])[0]
        frame = f'<iframe title="Form" width="600" height="900" src="{address}"></iframe>'
        body = f"<!doctype html><title>Site</title>{frame}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return None


@pytest.fixture
def other_site() -> Iterator[int]:
    """The port of a server whose two names are two sites to a browser: 127.0.0.1 and localhost."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), OtherSite)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_another_site_shows_the_form_in_a_frame_to_the_end(
    page: Page, publish: Publish, address: Address, log: Log, other_site: int
) -> None:
    form = publish(STUDENT, allowed_origins=[f"http://127.0.0.1:{other_site}"])
    page.goto(f"http://127.0.0.1:{other_site}/?show={quote(address(form, '?embed=1'))}")
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name=SEND).click()
    expect(frame.get_by_role("heading", name="There is a problem")).to_be_visible()
    fill_in(frame)
    frame.get_by_role("button", name=SEND).click()

    expect(frame.get_by_role("heading", level=1)).to_have_text("Thank you, your data was received.")
    assert sent(log, form) == [FILLED_IN]


def test_a_site_that_is_not_listed_cannot_show_it(
    page: Page, publish: Publish, address: Address, other_site: int
) -> None:
    form = publish(STUDENT, allowed_origins=[f"http://127.0.0.1:{other_site}"])
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.goto(f"http://localhost:{other_site}/?show={quote(address(form, '?embed=1'))}")

    expect(page.frame_locator("iframe").get_by_role("button", name=SEND)).to_have_count(0)
