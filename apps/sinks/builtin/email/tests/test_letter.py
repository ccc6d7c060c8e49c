"""What a mail says, whatever people write into settings and answers."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.sinks.builtin.email.addresses import AddressUnusableError, mailbox, parse
from apps.sinks.builtin.email.letter import SUBJECT_MAX, Letter, write
from apps.sinks.builtin.wording import placeholders, values
from apps.sinks.builtin.wording.values import VALUES_MAX
from formhub.core.layout import Column, Kind, Layout

LAYOUT = Layout(
    (
        Column("name", "Name", Kind.TEXT),
        Column("born", "Born", Kind.DATE),
        Column("fish", "Fish?", Kind.BOOLEAN, {"true": "Yes, please"}),
        Column("colour", "Colour", Kind.CHOICE, {"r": "Red"}),
    )
)


def written(text: str, subject: str = "{{ form }}", **answers: Any) -> Letter:
    part = values.sample({"subject": subject, "text": text}, "Guests", LAYOUT, answers)
    return write(part.config, part, part.submissions[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("Dear {{ name }},", "Dear Ada,", id="an answer"),
        pytest.param("{{name}}{{  name  }}", "AdaAda", id="with any spaces"),
        pytest.param("{{ form }}", "Guests", id="the form"),
        pytest.param("{{ born }} {{ fish }} {{ colour }}", "2001-02-03 Yes, please Red", id="in the form's words"),
        pytest.param("{{ accepted_at }}", "2026-01-01 12:00 UTC", id="when"),
        pytest.param("<{{ gone }}>", "<>", id="a question that is gone"),
        pytest.param("{% if name %}{ name }{{}", "{% if name %}{ name }{{}", id="anything else stays as it is"),
        pytest.param("{{ name.upper }}{{ name|length }}", "", id="nothing is looked up or called"),
    ],
)
def test_placeholders_are_replaced_and_nothing_else_is(text: str, said: str) -> None:
    assert written(text, name="Ada", born="2001-02-03", fish=True, colour="r").text == said + "\n"


def test_all_answers_are_listed_with_their_questions() -> None:
    assert written("{{ answers }}", name="Ada", colour="r").text == "Name: Ada\nColour: Red\n"


def test_an_answer_that_looks_like_a_placeholder_arrives_as_it_is() -> None:
    found = written("{{ name }}", name="{{ form }} {{ answers }}")

    assert found.text == "{{ form }} {{ answers }}\n"
    assert "{{ form }} {{ answers }}" in found.html


def test_html_is_what_neither_the_owner_nor_a_respondent_can_write() -> None:
    found = written("<b>{{ name }}</b>\n\nSecond", name="<script>alert('x')</script>\" onload=\"")

    assert (
        "<p>&lt;b&gt;&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot; onload=&quot;&lt;/b&gt;</p>" in found.html
    )
    assert "<p>Second</p>" in found.html


def test_lines_and_paragraphs_are_kept() -> None:
    assert "<p>One<br>two</p><p>Three</p>" in written("One\r\ntwo\r\n\r\nThree").html


@pytest.mark.parametrize("name", ["Ada\r\nBcc: eve@example.com", "Ada\x00\x1b[1m", "Ada\u2028Bcc: x", "A" * 5000])
def test_a_subject_is_one_short_line(name: str) -> None:
    subject = written("", subject="Hello {{ name }}", name=name).subject

    assert subject.isprintable()
    assert len(subject) <= SUBJECT_MAX


def test_a_text_that_names_the_same_answer_a_thousand_times_stays_bounded() -> None:
    found = written("{{ answers }}" * 750, name="<" * 1_000_000)

    assert len(found.text) <= VALUES_MAX + 10
    assert len(found.html) <= 10 * VALUES_MAX


@given(st.lists(st.sampled_from(["{", "}", "{{", "}}", " x ", "{{ a }}", "{{b}}", "\n"])), st.text("{} ab", max_size=9))
def test_whatever_the_braces_a_value_is_put_in_once_and_not_read_again(parts: list[str], value: str) -> None:
    text = "".join(parts)
    marks = re.findall(r"\{\{[^{}\n]*\}\}", text)

    filled = placeholders.fill(text, lambda name: value)

    assert len(filled) == len(text) - len("".join(marks)) + len(marks) * len(value)
    assert (filled == text) or marks


def test_many_open_braces_take_no_time_that_grows_with_their_square() -> None:
    text = "{{" * 200_000

    assert placeholders.fill(text, lambda name: "") == text


@pytest.mark.parametrize(
    ("text", "address"),
    [("Ada@EXAMPLE.org", "Ada@example.org"), (" a+b@x.example.org ", "a+b@x.example.org"),
     ("a@bücher.example.org", "a@xn--bcher-kva.example.org")],
)  # fmt: skip
def test_an_address_is_what_a_mail_server_is_given(text: str, address: str) -> None:
    assert parse(text) == address


@given(st.text(max_size=40))
def test_no_other_text_becomes_more_than_one_address(text: str) -> None:
    for attempt in (f"a@example.org{text}", f"{text}a@example.org"):
        try:
            found = parse(attempt)
        except AddressUnusableError:
            continue
        assert found.count("@") == 1
        assert not set(found) & set(' ,;<>"()[]\r\n\t\x00')
        assert found.isascii()


def test_a_mailbox_is_the_same_whatever_stands_after_its_plus() -> None:
    assert mailbox("Ada+one@Example.org") == mailbox("ada@example.org") != mailbox("bob@example.org")
