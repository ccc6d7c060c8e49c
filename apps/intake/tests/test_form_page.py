import gzip
import html
import re
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.db import Error
from django.test import Client

from apps.forms import published, schema
from apps.intake import process
from apps.intake.commit import Bounds, Committer
from apps.intake.gate.memory import MemoryStore
from apps.intake.pages import languages
from apps.intake.tests import outboxes
from apps.intake.tests.conftest import Forms
from apps.intake.tests.forms import DEFINITION
from apps.intake.tests.test_submit import stored
from formhub.core.envelope import decode
from formhub.core.lanes import Lane
from formhub.core.stream.memory import MemoryPublisher, MemoryTopic

pytestmark = pytest.mark.urls("apps.intake.tests.urls")

URL = "/f/k7m2qhx4w9tc/"
GOOD = {"name": "Ada", "age": "36"}
EVENT: dict[str, Any] = {
    "format": "formhub/1",
    "title": "Sign-up",
    "languages": ["en", "de", "ar"],
    "pages": [
        {
            "key": "p1",
            "elements": [
                {
                    "type": "short_text",
                    "key": "name",
                    "label": {"en": "Your name?", "de": "Dein Name?", "ar": "الاسم"},
                    "required": True,
                },
                {
                    "type": "multiple_choice",
                    "key": "food",
                    "label": "Food",
                    "settings": {"choices": ["bread", "rice"], "other": True},
                },
                {
                    "type": "consent",
                    "key": "consent",
                    "label": "Consent",
                    "required": True,
                    "settings": {"text": "I agree."},
                },
            ],
        }
    ],
    "endings": [
        {"key": "thanks", "title": {"en": "See you", "de": "Bis bald", "ar": "أراك"}, "text": "Bring a friend."}
    ],
}
CONSENT = schema.compile(EVENT).schema["properties"]["consent"]["const"]


class Shown(HTMLParser):
    """A page as a browser reads it: its tags, and what its form would send."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.text = response.content.decode()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag and wanted.items() <= attrs.items()]

    @property
    def title(self) -> str:
        found = re.search(r"<title>(.*?)</title>", self.text, re.DOTALL)
        return html.unescape(found[1].strip()) if found else ""

    @property
    def action(self) -> str:
        return self.all("form")[0]["action"]

    @property
    def sends(self) -> list[tuple[str, str]]:
        return [
            (attrs["name"], attrs.get("value", "on"))
            for attrs in self.all("input")
            if attrs["type"] not in {"radio", "checkbox"} or "checked" in attrs
        ]

    @property
    def key(self) -> str:
        return dict(self.sends)["_key"]


def opened(client: Client, address: str = URL, **headers: str) -> Shown:
    response = client.get(address, headers=headers)
    assert response.status_code == 200
    return Shown(response)


def send(client: Client, page: Shown, answers: dict[str, Any], **headers: str) -> Any:
    """As a browser does: what stands in the page, answered."""
    typed = [(name, value) for name, value in page.sends if name.startswith("_")]
    for name, value in answers.items():
        typed += [(name, each) for each in (value if isinstance(value, list) else [value])]
    return client.post(page.action, urlencode(typed), content_type="application/x-www-form-urlencoded", headers=headers)


@pytest.fixture
def event(forms: Forms) -> None:
    compiled = schema.compile(EVENT)
    forms.put(definition=EVENT, compiled=compiled, layout=compiled.layout, title="Sign-up")


class TestOpening:
    def test_every_question_is_there_with_a_key_of_its_own(self, client: Client) -> None:
        first, second = opened(client), opened(client)

        assert {name for name, _value in first.sends} == {"_key", "_version", "_locale", "name", "age"}
        assert (first.title, dict(first.sends)["_version"], first.action) == ("Student data", "3", f"{URL}?send=1")
        assert first.key != second.key

    def test_nothing_about_a_visitor_is_kept_or_told_to_others(self, client: Client) -> None:
        response = client.get(URL)

        assert "Set-Cookie" not in response
        assert not response.cookies
        assert response["Referrer-Policy"] == "no-referrer"
        assert response["X-Robots-Tag"] == "noindex"
        assert response["Cache-Control"] == "private, no-cache"

    def test_it_needs_no_script_and_sends_only_here(self, client: Client) -> None:
        response = client.get(URL)

        assert not Shown(response).all("script")
        assert "form-action 'self'" in response["Content-Security-Policy"]

    def test_with_its_style_it_is_a_light_load(self, client: Client) -> None:
        page = opened(client)
        styles = [finders.find(attrs["href"].removeprefix("/static/")) for attrs in page.all("link", rel="stylesheet")]
        parts = [page.text.encode(), *(Path(str(style)).read_bytes() for style in styles)]

        assert len(parts) == 3
        assert sum(len(gzip.compress(part)) for part in parts) < 50 * 1024

    def test_head_is_answered_as_get(self, client: Client) -> None:
        assert client.head(URL).status_code == 200

    def test_a_form_is_found_by_organization_and_name(self, client: Client) -> None:
        assert opened(client, "/f/acme~student-data/").action == "/f/acme~student-data/?send=1"


class TestPrefill:
    def test_a_link_fills_in_answers(self, client: Client) -> None:
        page = opened(client, f"{URL}?name=Ada+%26+Bob&age=36&colour=red&_key=mine")

        assert {"name": "Ada & Bob", "age": "36"}.items() <= dict(page.sends).items()
        assert page.key != "mine"
        assert page.action == f"{URL}?send=1"

    def test_they_are_checked_like_any_other(self, client: Client) -> None:
        page = opened(client, f"{URL}?age=old")
        assert not page.all("p", **{"class": "field-error"})

        assert "whole number" in Shown(send(client, page, {"name": "Ada", "age": "old"})).text

    @pytest.mark.usefixtures("event")
    def test_choices_and_own_words_are_filled_in(self, client: Client) -> None:
        page = opened(client, f"{URL}?food=rice&food=soup")
        assert [value for name, value in page.sends if name == "food"] == ["rice", "_other", "soup"]

    @pytest.mark.usefixtures("event")
    def test_nobody_agrees_by_a_link(self, client: Client) -> None:
        page = opened(client, f"{URL}?consent={CONSENT}")
        assert "consent" not in dict(page.sends)

    def test_what_the_address_says_to_us_is_no_answer(self, client: Client, forms: Forms) -> None:
        asks = {
            **DEFINITION,
            "pages": [{"key": "p1", "elements": [{"type": "short_text", "key": "lang", "label": "L"}]}],
        }
        forms.put(definition=asks, compiled=schema.compile(asks))
        assert dict(opened(client, f"{URL}?lang=en").sends)["lang"] == ""

    @pytest.mark.parametrize("query", ["name=%00", "name=%ff", "name=" + "x" * 5_000, "age=&age=1&age=2"])
    def test_odd_links_do_no_harm(self, client: Client, query: str) -> None:
        assert client.get(f"{URL}?{query}").status_code == 200


class TestSending:
    def test_the_answers_are_in_the_log_and_the_ending_is_shown(self, client: Client, topic: MemoryTopic) -> None:
        response = send(client, opened(client), GOOD)
        ending = client.get(response["Location"])

        assert response.status_code == 303
        assert response["Location"].startswith("/f/k7m2qhx4w9tc/done/")
        (envelope,) = stored(topic)
        assert envelope.answers == {"name": "Ada", "age": 36}
        assert envelope.meta == {"locale": "en"}
        assert "Your answers were received" in ending.content.decode()
        assert envelope.accepted_at.isoformat(timespec="seconds").removesuffix("+00:00") in ending.content.decode()

    def test_no_cookie_is_asked_for_or_set(self, client: Client) -> None:
        strict = Client(enforce_csrf_checks=True)
        response = send(strict, opened(strict), GOOD)
        assert response.status_code == 303
        assert "Set-Cookie" not in response

    def test_a_second_click_is_the_same_submission(self, client: Client, topic: MemoryTopic) -> None:
        page = opened(client)
        first, second = send(client, page, GOOD), send(client, page, GOOD)

        assert first["Location"] == second["Location"]
        assert len(stored(topic)) == 1

    def test_clicks_at_the_same_time_are_the_same_submission(self, client: Client, topic: MemoryTopic) -> None:
        page = opened(client)
        answers: list[Any] = []
        clicks = [threading.Thread(target=lambda: answers.append(send(Client(), page, GOOD))) for _ in range(8)]
        for click in clicks:
            click.start()
        for click in clicks:
            click.join()

        assert {answer.status_code for answer in answers} == {303}
        assert len({answer["Location"] for answer in answers}) == 1
        assert len(stored(topic)) == 1

    def test_a_page_opened_anew_sends_a_new_submission(self, client: Client, topic: MemoryTopic) -> None:
        for _ in range(2):
            send(client, opened(client), GOOD)
        assert len(stored(topic)) == 2

    def test_multipart_is_taken_too(self, client: Client, topic: MemoryTopic) -> None:
        assert client.post(URL, {"name": "Ada"}).status_code == 303
        assert stored(topic)[0].answers == {"name": "Ada"}

    def test_a_try_that_stays_on_its_way_keeps_the_answers(
        self, client: Client, gate: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.intake.pages.form.PATIENCE_SECONDS", 0.0)
        page = opened(client)
        send(client, page, GOOD)
        (key, (record, until)) = gate.records.popitem()
        gate.records[key] = ("r" + record[1:65] + "somebody", until)
        response = send(client, page, GOOD)

        again = Shown(response)
        assert (response.status_code, response["Retry-After"]) == (409, "1")
        assert "still on their way" in again.text
        assert (again.key, dict(again.sends)["name"]) == (page.key, "Ada")

    def test_once_the_first_try_failed_the_second_takes_its_place(
        self, client: Client, gate: MemoryStore, topic: MemoryTopic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = opened(client)
        send(client, page, GOOD)
        (key, (record, until)) = gate.records.popitem()
        gate.records[key] = ("r" + record[1:65] + "somebody", until)

        async def until_it_failed(seconds: float) -> None:
            gate.records.clear()

        monkeypatch.setattr("apps.intake.attempt.pause", until_it_failed)
        assert send(client, page, GOOD).status_code == 303
        assert len({envelope.id for envelope in stored(topic)}) == 1


def test_what_is_sent_goes_the_short_way_and_what_is_looked_at_the_sites() -> None:
    lane = Lane(())
    assert lane.match("POST", URL)
    assert lane.match("GET", URL) is None


class TestOtherAnswersUnderTheSameKey:
    def test_the_person_hears_when_the_first_came_and_can_send_these_as_new(
        self, client: Client, topic: MemoryTopic
    ) -> None:
        page = opened(client)
        first = send(client, page, GOOD)
        response = send(client, page, {"name": "Bob", "age": "41"})
        again = Shown(response)

        assert response.status_code == 422
        assert again.title == "Not sent: Student data"
        assert "You sent other answers from this page before" in again.text
        assert re.search(r"They were received on .+ at \d\d:\d\d UTC", again.text)
        assert parse_qs(urlsplit(first["Location"]).query)["receipt"][0] in again.text
        assert {"name": "Bob", "age": "41"}.items() <= dict(again.sends).items()
        assert again.key != page.key
        assert len(stored(topic)) == 1

        assert send(client, again, {"name": "Bob", "age": "41"}).status_code == 303
        assert [envelope.answers["name"] for envelope in stored(topic)] == ["Ada", "Bob"]

    def test_while_the_first_are_on_their_way_no_time_is_told(self, client: Client, gate: MemoryStore) -> None:
        page = opened(client)
        send(client, page, GOOD)
        (key, (record, until)) = gate.records.popitem()
        gate.records[key] = ("r" + record[1:65] + "somebody", until)

        again = Shown(send(client, page, {"name": "Bob"}))
        assert "They are still on their way." in again.text


class TestRefused:
    def test_every_wrong_answer_is_named_above_and_beside_in_the_same_words(self, client: Client) -> None:
        response = send(client, opened(client), {"name": "", "age": "121"})
        page = Shown(response)

        assert response.status_code == 422
        assert page.title == "Error: Student data"
        (summary,) = page.all("div", **{"class": "summary wrong"})
        assert (summary["tabindex"], summary["autofocus"]) == ("-1", "")
        assert page.all("div", role="alert")
        assert [attrs["href"] for attrs in page.all("a")] == ["#field-name", "#field-age"]
        for words in ("Answer this question.", "Enter 120 or less."):
            assert page.text.count(words) == 2
        assert "Name: Answer this question." in page.text
        (age,) = page.all("input", id="field-age")
        assert (age["value"], age["aria-invalid"], age["aria-describedby"]) == ("121", "true", "field-age-error")

    def test_the_corrected_answers_are_taken_under_the_same_key(self, client: Client, topic: MemoryTopic) -> None:
        page = opened(client)
        again = Shown(send(client, page, {"name": "Ada", "age": "121"}))

        assert again.key == page.key
        assert send(client, again, GOOD).status_code == 303
        assert len(stored(topic)) == 1

    @pytest.mark.usefixtures("event")
    def test_choices_own_words_and_consent_stay(self, client: Client) -> None:
        sent = {"name": "", "food": ["rice", "_other", "soup"], "consent": CONSENT}
        page = Shown(send(client, opened(client), sent))

        assert [value for name, value in page.sends if name == "food"] == ["rice", "_other", "soup"]
        assert dict(page.sends)["consent"] == CONSENT
        assert "Your name? Answer this question." in page.text

    @pytest.mark.usefixtures("event")
    def test_the_person_is_led_to_the_first_input_or_to_their_own_words(self, client: Client) -> None:
        page = Shown(send(client, opened(client), {"name": "Ada", "food": ["_other", ""]}))
        assert [attrs["href"] for attrs in page.all("a") if attrs["href"].startswith("#")] == [
            "#field-food-own",
            "#field-consent-1",
        ]

    def test_what_people_typed_is_escaped(self, client: Client) -> None:
        page = Shown(send(client, opened(client), {"name": "", "age": '"><script>alert(1)</script>'}))
        assert not page.all("script")

    def test_answers_that_no_question_asked_for_are_named_without_a_link(self, client: Client) -> None:
        page = Shown(send(client, opened(client), {**GOOD, "colour": "red"}))
        assert "The form has no such field" in page.text
        assert not page.all("a")

    @pytest.mark.parametrize(
        ("body", "kind", "status"),
        [
            (b"{}", "application/json", 415),
            (b"name=%ff", "application/x-www-form-urlencoded", 400),
            (b"name=Ada&_other=1", "application/x-www-form-urlencoded", 422),
            (b"name=" + b"x" * 1_100_000, "application/x-www-form-urlencoded", 413),
        ],
    )
    def test_what_cannot_be_read_has_a_page_that_says_what_to_do(
        self, client: Client, body: bytes, kind: str, status: int
    ) -> None:
        response = client.post(URL, body, content_type=kind)
        assert response.status_code == status
        assert "Go back, where your browser still has them" in response.content.decode()


class TestFormChangedMeanwhile:
    @pytest.fixture
    def page(self, client: Client, forms: Forms) -> Shown:
        page = opened(client)
        without_age = {**DEFINITION, "pages": [{"key": "p1", "elements": [DEFINITION["pages"][0]["elements"][0]]}]}
        forms.put(version=4, definition=without_age, compiled=schema.compile(without_age))
        return page

    def test_answers_to_questions_that_are_gone_are_not_blamed_on_the_person(
        self, client: Client, page: Shown, topic: MemoryTopic
    ) -> None:
        response = send(client, page, GOOD)
        again = Shown(response)

        assert response.status_code == 409
        assert "The form has changed since you opened it" in again.text
        assert dict(again.sends) == {"_key": page.key, "_version": "4", "_locale": "en", "name": "Ada"}
        assert send(client, again, {"name": "Ada"}).status_code == 303
        assert len(stored(topic)) == 1

    def test_what_else_is_wrong_is_said_too(self, client: Client, page: Shown) -> None:
        again = Shown(send(client, page, {"name": "", "age": "36"}))
        assert "The form has changed" in again.text
        assert [attrs["href"] for attrs in again.all("a")] == ["#field-name"]
        assert len([attrs for _tag, attrs in again.tags if "autofocus" in attrs]) == 1

    def test_answers_that_still_fit_are_taken(self, client: Client, page: Shown, topic: MemoryTopic) -> None:
        assert send(client, page, {"name": "Ada"}).status_code == 303
        assert stored(topic)[0].meta["page_version"] == 3


class TestNotTakenNow:
    def test_without_the_log_the_outbox_takes_them(
        self, client: Client, topic: MemoryTopic, outbox: outboxes.MemoryStore
    ) -> None:
        page = opened(client)
        topic.broken = True

        assert send(client, page, GOOD).status_code == 303
        assert [decode(row.value, row.headers).answers for row in outbox.rows.values()] == [{"name": "Ada", "age": 36}]

    def test_without_either_door_the_answers_stay_and_the_key_too(
        self, client: Client, topic: MemoryTopic, outbox: outboxes.MemoryStore
    ) -> None:
        page = opened(client)
        topic.broken = outbox.broken = True
        response = send(client, page, GOOD)
        again = Shown(response)

        assert (response.status_code, response["Retry-After"]) == (503, "2")
        assert again.title == "Not sent: Student data"
        assert "Your answers were not sent yet" in again.text
        assert {"name": "Ada", "age": "36", "_key": page.key}.items() <= dict(again.sends).items()

    def test_once_the_log_is_back_the_same_page_is_taken(
        self, client: Client, topic: MemoryTopic, outbox: outboxes.MemoryStore
    ) -> None:
        outbox.broken = True
        page = opened(client)
        process.committer().close(0)  # as a broker that is away refuses, without a breaker to wait for
        again = Shown(send(client, page, GOOD))
        before = process.committer.install(None)
        try:
            process.committer.install(_a_committer(topic))
            assert send(client, again, GOOD).status_code == 303
        finally:
            process.committer.install(before)
        assert len(stored(topic)) == 1

    def test_over_a_limit_the_person_hears_when_to_try_again(self, client: Client, forms: Forms) -> None:
        forms.put(rates={"per_address": "1/hour"})
        send(client, opened(client), GOOD)
        response = send(client, opened(client), {"name": "Bob"})
        again = Shown(response)

        assert response.status_code == 429
        assert int(response["Retry-After"]) > 0
        assert re.search(r"send them again in \d+ (second|minute|hour)s?\.", again.text)
        assert dict(again.sends)["name"] == "Bob"

    def test_over_a_limit_with_a_body_that_cannot_be_read_there_is_nothing_to_keep(
        self, client: Client, forms: Forms
    ) -> None:
        forms.put(rates={"per_address": "1/hour"})
        send(client, opened(client), GOOD)
        response = client.post(URL, b"name=%ff", content_type="application/x-www-form-urlencoded")
        assert response.status_code == 429
        assert "could not be read" in response.content.decode()

    def test_too_much_for_the_log_keeps_the_answers(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("formhub.core.envelope.MAX_ENVELOPE_BYTES", 100)
        response = send(client, opened(client), GOOD)
        assert response.status_code == 413
        assert dict(Shown(response).sends)["name"] == "Ada"


class TestNoFormHere:
    def test_an_unknown_form_says_so(self, client: Client) -> None:
        response = client.get("/f/nothing/")
        assert response.status_code == 404
        assert "There is no form here" in response.content.decode()

    def test_a_closed_form_says_its_owners_words(self, client: Client, forms: Forms) -> None:
        page = opened(client)
        forms.put(closed=True, closed_text="We closed on <Friday>.")
        for response in (client.get(URL), send(client, page, GOOD)):
            assert response.status_code == 410
            assert "We closed on &lt;Friday&gt;." in response.content.decode()

    def test_a_closed_form_without_words_has_ours(self, client: Client, forms: Forms) -> None:
        forms.put(closed=True)
        assert "It takes no more answers." in client.get(URL).content.decode()

    def test_whoever_was_accepted_is_still_thanked_after_the_form_closed(self, client: Client, forms: Forms) -> None:
        page = opened(client)
        first = send(client, page, GOOD)
        forms.put(closed=True)
        assert send(client, page, GOOD)["Location"] == first["Location"]
        assert client.get(first["Location"]).status_code == 200

    def test_a_form_for_programs_only_is_not_shown(self, client: Client, forms: Forms) -> None:
        forms.put(key_required=True)
        assert client.get(URL).status_code == 403
        assert client.post(URL, {"name": "Ada"}).status_code == 403

    def test_without_the_database_a_form_not_seen_lately_is_away_for_a_moment(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(published, "by_name", raise_error)
        response = client.get(URL)
        assert (response.status_code, response["Retry-After"]) == (503, "2")


class TestLanguages:
    pytestmark = pytest.mark.usefixtures("event")

    @pytest.mark.parametrize(
        ("query", "accepted", "code", "label"),
        [
            ("", "", "en", "Your name?"),
            ("?lang=de", "en", "de", "Dein Name?"),
            ("?lang=DE-at", "", "de", "Dein Name?"),
            ("?lang=fr", "", "en", "Your name?"),
            ("?lang=", "fr;q=0.9, de-CH;q=0.8", "de", "Dein Name?"),
            ("", "ar, en", "ar", "الاسم"),
        ],
    )
    def test_a_form_is_shown_in_the_language_asked_for(
        self, client: Client, query: str, accepted: str, code: str, label: str
    ) -> None:
        response = client.get(URL + query, headers={"accept-language": accepted})
        page = Shown(response)

        (root,) = page.all("html")
        assert (root["lang"], root["dir"]) == (code, "rtl" if code == "ar" else "ltr")
        assert response["Content-Language"] == code
        assert label in page.text
        assert dict(page.sends)["_locale"] == code

    def test_the_language_asked_for_stays_to_the_end(self, client: Client, topic: MemoryTopic) -> None:
        page = opened(client, f"{URL}?lang=de")
        refused = Shown(send(client, page, {"name": "", "consent": CONSENT}))
        ending = client.get(send(client, refused, {"name": "Ada", "consent": CONSENT})["Location"])

        assert refused.all("html")[0]["lang"] == Shown(ending).all("html")[0]["lang"] == "de"
        assert "Bis bald" in ending.content.decode()
        assert stored(topic)[0].meta["locale"] == "de"

    def test_one_can_change_to_another_and_keeps_what_a_link_filled_in(self, client: Client) -> None:
        page = opened(client, f"{URL}?name=Ada")
        links = {attrs["hreflang"]: attrs for attrs in page.all("a") if "hreflang" in attrs}

        assert list(links) == ["en", "de", "ar"]
        assert links["en"]["aria-current"] == "true"
        assert dict(opened(client, links["de"]["href"]).sends)["name"] == "Ada"

    def test_a_form_of_one_language_offers_no_others(self, client: Client, forms: Forms) -> None:
        forms.put()
        assert not opened(client).all("nav")

    @pytest.mark.parametrize("code", ["tlh", "zh-Hant", "pt-BR", "de-AT"])
    def test_any_language_a_definition_may_name_can_be_shown(self, client: Client, forms: Forms, code: str) -> None:
        definition = {**DEFINITION, "languages": [code]}
        forms.put(definition=definition)
        page = opened(client)
        assert page.all("html")[0]["lang"] == code
        assert "Name" in page.text

    @pytest.mark.parametrize(
        ("code", "words"), [("de", "Beantworten Sie diese Frage."), ("ar", "Answer this question.")]
    )
    def test_our_own_words_are_in_the_language_if_we_speak_it(self, client: Client, code: str, words: str) -> None:
        page = opened(client, f"{URL}?lang={code}")
        assert words in Shown(send(client, page, {"name": ""})).text

    def test_names_of_languages_are_in_themselves(self) -> None:
        assert [languages.described(code).name for code in ("de", "ar", "tlh")] == ["Deutsch", "العربيّة", "tlh"]


class TestEmbedded:
    def test_any_site_may_show_it_if_none_is_listed(self, client: Client) -> None:
        response = client.get(f"{URL}?embed=1")
        assert "frame-ancestors *;" in response["Content-Security-Policy"] + ";"
        assert "X-Frame-Options" not in response

    def test_only_listed_sites_may_if_the_form_lists_any(self, client: Client, forms: Forms) -> None:
        forms.put(allowed_origins=["https://site.example", "https://a.example;script-src *"])
        policy = client.get(f"{URL}?embed=1")["Content-Security-Policy"]
        assert "frame-ancestors https://site.example;" in policy + ";"
        assert "script-src" not in policy

    def test_no_site_may_if_what_is_listed_is_none(self, client: Client, forms: Forms) -> None:
        forms.put(allowed_origins=["https://a.example;script-src *"])
        assert "frame-ancestors 'none'" in client.get(f"{URL}?embed=1")["Content-Security-Policy"]

    def test_by_itself_it_is_shown_by_no_other_site(self, client: Client) -> None:
        response = client.get(URL)
        assert "frame-ancestors 'self'" in response["Content-Security-Policy"]
        assert response["X-Frame-Options"] == "SAMEORIGIN"

    def test_it_stays_embedded_to_the_end_without_anything_around(self, client: Client) -> None:
        page = opened(client, f"{URL}?embed=1")
        refused = send(client, page, {"name": ""})
        sent = send(client, Shown(refused), GOOD)
        ending = client.get(sent["Location"])

        assert not page.all("footer")
        for response in (refused, ending):
            assert "frame-ancestors *" in response["Content-Security-Policy"]
        receipt = Shown(ending).all("a")[-1]
        assert (receipt["target"], receipt["rel"]) == ("_blank", "noopener")


class TestEnding:
    @pytest.fixture
    def address(self, client: Client) -> str:
        return str(send(client, opened(client), GOOD)["Location"])

    def test_it_says_when_and_leads_to_the_receipt(self, client: Client, address: str) -> None:
        response = client.get(address)
        page = Shown(response)

        assert response["Cache-Control"] == "private, no-store"
        (link,) = [attrs["href"] for attrs in page.all("a")]
        assert client.get(link).status_code == 200
        assert page.all("time")

    @pytest.mark.usefixtures("event")
    def test_the_owners_words_are_said(self, client: Client) -> None:
        sent = send(client, opened(client), {"name": "Ada", "consent": CONSENT})
        assert urlsplit(sent["Location"]).path == f"{URL}done/thanks/"
        page = client.get(sent["Location"]).content.decode()
        assert "See you" in page
        assert "Bring a friend." in page

    @pytest.mark.parametrize("query", ["", "?receipt=", "?receipt=abc.def"])
    def test_without_a_receipt_nobody_is_thanked(self, client: Client, query: str) -> None:
        response = client.get(f"{URL}done/thanks/{query}")
        assert response.status_code == 404
        assert [attrs["href"] for attrs in Shown(response).all("a")] == [URL]

    def test_another_forms_receipt_leads_to_itself(self, client: Client, forms: Forms, address: str) -> None:
        forms.put(id=forms.found["k7m2qhx4w9tc"].organization)
        response = client.get(address)
        assert response.status_code == 302
        assert client.get(response["Location"]).status_code == 200

    def test_a_form_taken_down_meanwhile_leaves_the_receipt(self, client: Client, forms: Forms, address: str) -> None:
        forms.found.clear()
        response = client.get(address)
        assert response["Location"].startswith("/r/")
        assert client.get(response["Location"]).status_code == 200


def raise_error(name: str) -> None:
    raise Error("the database is away")


def _a_committer(topic: MemoryTopic) -> Committer:
    return Committer(MemoryPublisher(topic), Bounds(items=1000, bytes=10_000_000, seconds=2))
