from datetime import datetime
from typing import Any

import pytest

from apps.forms import fields, schema
from apps.forms.fields import Element, consent, country
from apps.forms.schema import AnswersRefused
from apps.forms.tests.documents import CHOICES, EVERY_TYPE, a_document, a_question

COLOURS = {"choices": CHOICES}
OWN = {"choices": CHOICES, "other": True}
NONE = {"choices": [*CHOICES, {"value": "none", "exclusive": True}], "min": 2, "max": 3}
CODE = {"pattern": "[A-Z]{2}-[0-9]+", "example": "AB-1"}
CONSENT = {"text": "You may write to me."}
AGREED = consent.version("You may write to me.")
NOTHING = "nothing"  # the clean answers leave the field out


def cleaned(type: str, settings: dict[str, Any], answer: Any, region: str = "IN") -> Any:
    compiled = schema.compile(a_document(a_question(type, settings=settings)), region)
    return compiled.clean({"answer": answer}).get("answer", NOTHING)


TAKEN = [
    pytest.param("short_text", {}, "  Ada  ", "  Ada  ", id="text stays as sent"),
    pytest.param("short_text", {}, "👩‍🚀 ‮mirrored", "👩‍🚀 ‮mirrored", id="text of any script"),
    pytest.param("short_text", {}, "   ", NOTHING, id="blank text is no answer"),
    pytest.param("short_text", {}, None, NOTHING, id="null is no answer"),
    pytest.param("short_text", {"max_length": 2}, "👩‍", "👩‍", id="length counts code points"),
    pytest.param("short_text", CODE, "XY-42", "XY-42", id="text that fits the pattern"),
    pytest.param("long_text", {"max_length": 50_000}, "x" * 50_000, "x" * 50_000, id="50,000 characters"),
    pytest.param("email", {}, " Ada.L+x@Example.ORG ", "Ada.L+x@example.org", id="domain in small letters"),
    pytest.param("email", {}, "ada@bücher.example", "ada@bücher.example", id="international domain"),
    pytest.param("phone", {}, "98765 43210", "+919876543210", id="number in the form's region"),
    pytest.param("phone", {"region": "DE"}, "030 123456", "+4930123456", id="number in the field's region"),
    pytest.param("phone", {}, "+49 (30) 123456", "+4930123456", id="number with a country code"),
    pytest.param("url", {}, "HTTPS://example.org:8443/a?b#c", "HTTPS://example.org:8443/a?b#c", id="address as sent"),
    pytest.param("integer", {}, " 42 ", 42, id="whole number in a string"),
    pytest.param("integer", {}, "-007", -7, id="zeros in front"),
    pytest.param("integer", {}, 5.0, 5, id="5.0 is whole"),
    pytest.param("integer", {}, str(2**63 - 1), 2**63 - 1, id="largest of 64 bits"),
    pytest.param("decimal", {"decimal_places": 2}, "8.04", 8.04, id="decimal in a string"),
    pytest.param("decimal", {"decimal_places": 2}, "8.0400", 8.04, id="zeros at the end do not count"),
    pytest.param("decimal", {"decimal_places": 0}, "8.0", 8, id="8.0 has no decimals"),
    pytest.param("decimal", {"max": 0.3}, 0.3, 0.3, id="limit itself"),
    pytest.param("decimal", {}, -0.0, 0, id="no negative zero"),
    pytest.param("decimal", {}, "123456789012.345", 123456789012.345, id="15 digits"),
    pytest.param("decimal", {}, 0.1 + 0.2, 0.1 + 0.2, id="any double as a number"),
    pytest.param("decimal", {}, ".5", 0.5, id="point in front"),
    pytest.param("single_choice", COLOURS, "g", "g", id="stored value of a choice"),
    pytest.param("single_choice", OWN, "mauve", "mauve", id="answer of one's own"),
    pytest.param("single_choice", OWN, ["_other", "mauve"], "mauve", id="other as a form sends it"),
    pytest.param("single_choice", OWN, ["red", ""], "red", id="other left empty"),
    pytest.param("dropdown", COLOURS, "", NOTHING, id="nothing chosen"),
    pytest.param("multiple_choice", COLOURS, ["blue", "red"], ["red", "blue"], id="order of the definition"),
    pytest.param("multiple_choice", COLOURS, "blue", ["blue"], id="one value of a form"),
    pytest.param("multiple_choice", COLOURS, ["red", "red"], ["red"], id="the same twice"),
    pytest.param("multiple_choice", COLOURS, [], NOTHING, id="nothing ticked"),
    pytest.param("multiple_choice", OWN, ["mauve", "red"], ["red", "mauve"], id="own answer last"),
    pytest.param("multiple_choice", NONE, ["none"], ["none"], id="none of these alone"),
    pytest.param("multi_dropdown", COLOURS, ["blue", "red"], ["red", "blue"], id="several of a dropdown"),
    pytest.param("currency", {"currency": "EUR"}, " 12.50 ", 12.5, id="euros and cents"),
    pytest.param("currency", {"currency": "KWD"}, "1.125", 1.125, id="a currency of three decimal places"),
    pytest.param("country", {}, " de ", "DE", id="code of a country in small letters"),
    pytest.param("country", {"only": ["IN", "NP"]}, "NP", "NP", id="one of two countries"),
    pytest.param("country", {}, "", NOTHING, id="no country"),
    pytest.param("yes_no", {}, "On", True, id="on"),
    pytest.param("yes_no", {}, "0", False, id="0 in a string"),
    pytest.param("yes_no", {}, 1, True, id="1"),
    pytest.param("yes_no", {}, False, False, id="false is an answer"),
    pytest.param("consent", CONSENT, True, AGREED, id="agreed to the text as it stands"),
    pytest.param("consent", CONSENT, AGREED, AGREED, id="agreed to the text shown"),
    pytest.param("consent", CONSENT, False, NOTHING, id="not agreeing is no answer"),
    pytest.param("date", {}, " 2024-02-29 ", "2024-02-29", id="leap day"),
    pytest.param("date", {"max": "today+99999"}, "2200-01-01", "2200-01-01", id="before a relative limit"),
    pytest.param("time", {"min": "09:00", "max": "17:30"}, " 17:30 ", "17:30", id="latest time itself"),
    pytest.param("time", {}, "00:00", "00:00", id="midnight"),
    pytest.param("time", {}, "", NOTHING, id="no time"),
    pytest.param("date_time", {}, "2024-02-29T23:59", "2024-02-29T23:59", id="day and time of a browser"),
    pytest.param("date_time", {}, "2024-02-29 07:05", "2024-02-29T07:05", id="space between day and time"),
    pytest.param("date_time", {"max": "2024-01-01"}, "2024-01-01T23:59", "2024-01-01T23:59", id="last day to its end"),
    pytest.param("linear_scale", {"min": 0}, "0", 0, id="lowest of a scale"),
    pytest.param("linear_scale", {}, "", NOTHING, id="no place on the scale"),
    pytest.param("star_rating", {}, 5, 5, id="all stars"),
    pytest.param("nps", {}, "10", 10, id="most likely"),
    pytest.param("nps", {}, 0, 0, id="0 is an answer"),
]


@pytest.mark.parametrize(("type", "settings", "answer", "expected"), TAKEN)
def test_an_answer_is_taken(type: str, settings: dict[str, Any], answer: Any, expected: Any) -> None:
    found = cleaned(type, settings, answer)

    assert found == expected
    assert found == NOTHING or found.__class__ is expected.__class__


REFUSED = [
    pytest.param("short_text", {}, 42, "invalid_type", id="number for text"),
    pytest.param("short_text", {}, "a\0b", "invalid_text", id="NUL"),
    pytest.param("short_text", {}, "a\ud800", "invalid_text", id="half a surrogate pair"),
    pytest.param("short_text", {"min_length": 3}, "ab", "min_length", id="too short"),
    pytest.param("short_text", {"max_length": 3}, "abcd", "max_length", id="too long"),
    pytest.param("short_text", CODE, "xAB-1", "pattern", id="only a part fits the pattern"),
    pytest.param("short_text", CODE, "AB-1\n", "pattern", id="line end after the pattern"),
    pytest.param("long_text", {}, "x" * 10_001, "max_length", id="over the default length"),
    pytest.param("email", {}, "ada", "invalid_email", id="no address"),
    pytest.param("email", {}, "a@b.org,c@d.org", "invalid_email", id="two addresses"),
    pytest.param("email", {}, "a@b.org\r\nBcc: c@d.org", "invalid_email", id="line end in an address"),
    pytest.param("email", {}, "a@localhost", "invalid_email", id="no domain"),
    pytest.param("phone", {}, "12", "invalid_phone", id="too few digits"),
    pytest.param("phone", {}, "९८७६५४३२१०", "invalid_phone", id="digits of another script"),
    pytest.param("phone", {}, "98765 43210 ext 5", "invalid_phone", id="extension"),
    pytest.param("url", {}, "example.org", "invalid_url", id="no scheme"),
    pytest.param("url", {}, "javascript:alert(1)", "invalid_url", id="script for an address"),
    pytest.param("url", {}, "https://user:secret@example.org", "invalid_url", id="password in an address"),
    pytest.param("url", {}, "https://[::1", "invalid_url", id="broken host"),
    pytest.param("url", {}, "https://example.org:99999", "invalid_url", id="port out of range"),
    pytest.param("url", {}, "https://example.org/" + "x" * 2_100, "max_length", id="endless address"),
    pytest.param("integer", {}, "1_000", "invalid_integer", id="underscore"),
    pytest.param("integer", {}, "1,000", "invalid_integer", id="comma"),
    pytest.param("integer", {}, "٤٢", "invalid_integer", id="Arabic digits"),
    pytest.param("integer", {}, "4e2", "invalid_integer", id="exponent"),
    pytest.param("integer", {}, 4.5, "invalid_integer", id="fraction"),
    pytest.param("integer", {}, True, "invalid_integer", id="true for a number"),
    pytest.param("integer", {}, "9" * 5_000, "invalid_integer", id="5,000 digits"),
    pytest.param("integer", {}, 2**63, "max_value", id="more than 64 bits"),
    pytest.param("integer", {"min": 18}, 17, "min_value", id="below the smallest"),
    pytest.param("decimal", {}, "NaN", "invalid_number", id="not a number"),
    pytest.param("decimal", {}, float("inf"), "invalid_number", id="infinity"),
    pytest.param("decimal", {}, "8,5", "invalid_number", id="decimal comma"),
    pytest.param("decimal", {}, "1e5", "invalid_number", id="exponent in a string"),
    pytest.param("decimal", {"decimal_places": 2}, "8.041", "decimal_places", id="third decimal"),
    pytest.param("decimal", {"decimal_places": 2}, 1e-7, "decimal_places", id="tiny number"),
    pytest.param("decimal", {}, "0.1234567890123456789", "too_many_digits", id="more digits than a double"),
    pytest.param("decimal", {"max": 10}, "10.0000000000001", "max_value", id="a trace above the largest"),
    pytest.param("decimal", {"max": 10}, "10.000000000000001", "too_many_digits", id="a trace a double cannot tell"),
    pytest.param("decimal", {}, 10**30, "max_value", id="beyond a double"),
    pytest.param("decimal", {}, "9" * 40, "max_value", id="40 digits"),
    pytest.param("single_choice", COLOURS, "Green", "not_a_choice", id="label instead of the value"),
    pytest.param("single_choice", COLOURS, ["red", "blue"], "max_choices", id="two for one"),
    pytest.param("single_choice", OWN, "_other", "other_text", id="other without words"),
    pytest.param("single_choice", OWN, "x" * 501, "other_text", id="endless other"),
    pytest.param("dropdown", COLOURS, {"red": 1}, "invalid_type", id="object for a choice"),
    pytest.param("multiple_choice", COLOURS, ["red", "mauve"], "not_a_choice", id="one that is not listed"),
    pytest.param("multiple_choice", COLOURS, ["red", 1], "invalid_type", id="number among choices"),
    pytest.param("multiple_choice", NONE, ["red"], "min_choices", id="too few"),
    pytest.param("multiple_choice", NONE, ["red", "none"], "exclusive", id="none of these and one"),
    pytest.param("multiple_choice", {**COLOURS, "max": 2}, ["red", "g", "blue"], "max_choices", id="too many"),
    pytest.param("multiple_choice", OWN, ["one", "two"], "other_text", id="two answers of one's own"),
    pytest.param("yes_no", {}, "maybe", "invalid_boolean", id="maybe"),
    pytest.param("yes_no", {}, 2, "invalid_boolean", id="2"),
    pytest.param("consent", CONSENT, "0123456789ab", "consent_changed", id="an older text"),
    pytest.param("date", {}, "2023-02-29", "invalid_date", id="no such day"),
    pytest.param("date", {}, "20230228", "invalid_date", id="other ISO spelling"),
    pytest.param("date", {}, "28.02.2023", "invalid_date", id="German spelling"),
    pytest.param("date", {"min": "2024-01-01"}, "2023-12-31", "min_value", id="too early"),
    pytest.param("date", {"max": "today"}, "2200-01-01", "max_value", id="in the future"),
    pytest.param("currency", {"currency": "EUR"}, "12.505", "decimal_places", id="half a cent"),
    pytest.param("currency", {"currency": "JPY"}, "0.5", "decimal_places", id="half a yen"),
    pytest.param("currency", {"currency": "EUR", "min": 0}, "-1", "min_value", id="a debt"),
    pytest.param("currency", {"currency": "EUR"}, "12,50", "invalid_number", id="comma in an amount"),
    pytest.param("country", {}, "Germany", "not_a_choice", id="name of a country"),
    pytest.param("country", {}, "EU", "not_a_choice", id="no country"),
    pytest.param("country", {"only": ["IN", "NP"]}, "DE", "not_a_choice", id="another country"),
    pytest.param("time", {}, "24:00", "invalid_time", id="no such hour"),
    pytest.param("time", {}, "9:00", "invalid_time", id="one digit for the hour"),
    pytest.param("time", {}, "2 pm", "invalid_time", id="half a day"),
    pytest.param("time", {}, "14:30:15", "invalid_time", id="seconds"),
    pytest.param("time", {"min": "09:00"}, "08:59", "min_value", id="before the earliest time"),
    pytest.param("time", {"max": "17:30"}, "17:31", "max_value", id="after the latest time"),
    pytest.param("time", {}, 900, "invalid_type", id="number for a time"),
    pytest.param("date_time", {}, "2024-02-29", "invalid_date_time", id="day without a time"),
    pytest.param("date_time", {}, "2024-02-29T10:00Z", "invalid_date_time", id="time zone"),
    pytest.param("date_time", {}, "2023-02-29T10:00", "invalid_date", id="time of no such day"),
    pytest.param("date_time", {}, "2024-02-29T25:00", "invalid_time", id="no such hour of a day"),
    pytest.param("date_time", {"min": "2024-01-02"}, "2024-01-01T23:59", "min_value", id="day too early"),
    pytest.param("linear_scale", {}, "0", "min_value", id="below the scale"),
    pytest.param("linear_scale", {"max": 7}, 8, "max_value", id="above the scale"),
    pytest.param("linear_scale", {}, ["1", "2"], "invalid_integer", id="two places on a scale"),
    pytest.param("star_rating", {}, "6", "max_value", id="more stars than there are"),
    pytest.param("star_rating", {}, "2.5", "invalid_integer", id="half a star"),
    pytest.param("nps", {}, 11, "max_value", id="more than likely"),
]


@pytest.mark.parametrize(("type", "settings", "answer", "code"), REFUSED)
def test_an_answer_is_refused_with_its_code(type: str, settings: dict[str, Any], answer: Any, code: str) -> None:
    with pytest.raises(AnswersRefused) as refused:
        cleaned(type, settings, answer)

    assert [(error.field, error.code) for error in refused.value.errors] == [("answer", code)]
    assert refused.value.errors[0].message.endswith((".", "AB-1"))


SETTINGS = [
    pytest.param("short_text", {"max_length": 0}, "max_length", id="no length at all"),
    pytest.param("short_text", {"min_length": 9, "max_length": 3}, "min_length", id="shortest above longest"),
    pytest.param("short_text", {"max_length": 3_000}, "max_length", id="long text in a short one"),
    pytest.param("short_text", {"pattern": "(a+"}, "pattern", id="broken pattern"),
    pytest.param("short_text", {"pattern": r"(?=a)\1", "example": "a"}, "pattern", id="pattern beyond RE2"),
    pytest.param("short_text", {"pattern": "((a{1,100}){1,100}){1,100}", "example": "a"}, "pattern", id="huge pattern"),
    pytest.param("short_text", {"pattern": "a+"}, "example", id="pattern without an example"),
    pytest.param("short_text", {"pattern": "a+", "example": "b"}, "example", id="example beside the pattern"),
    pytest.param("short_text", {"maxlength": 3}, "maxlength", id="unknown setting"),
    pytest.param("phone", {"region": "XX"}, "region", id="no such country"),
    pytest.param("integer", {"min": 5, "max": 3}, "min", id="smallest above largest"),
    pytest.param("integer", {"min": "5"}, "min", id="limit as text"),
    pytest.param("decimal", {"decimal_places": -1}, "decimal_places", id="negative decimals"),
    pytest.param("single_choice", {}, "choices", id="no choices"),
    pytest.param("single_choice", {"choices": ["a", "a"]}, "choices[1]", id="a choice twice"),
    pytest.param("single_choice", {"choices": ["_other"]}, "choices[0]", id="reserved value"),
    pytest.param("single_choice", {"choices": [{"label": "A"}]}, "choices[0].value", id="choice without a value"),
    pytest.param("multiple_choice", {"choices": ["a"], "min": 2}, "min", id="more than there are"),
    pytest.param("consent", {}, "text", id="consent to nothing"),
    pytest.param("date", {"min": "tomorrow"}, "min", id="unknown day"),
    pytest.param("date", {"max": "2023-02-30"}, "max", id="limit that does not exist"),
    pytest.param("date", {"min": "2024-01-02", "max": "2024-01-01"}, "min", id="earliest after latest"),
    pytest.param("currency", {}, "currency", id="amount without a currency"),
    pytest.param("currency", {"currency": "EURO"}, "currency", id="no such currency"),
    pytest.param("currency", {"currency": "EUR", "min": 2, "max": 1}, "min", id="smallest amount above the largest"),
    pytest.param("country", {"only": ["XX"]}, "only[0]", id="no such country"),
    pytest.param("country", {"only": ["IN"], "first": ["DE"]}, "first[0]", id="first that is not to be chosen"),
    pytest.param("time", {"min": "9:00"}, "min", id="earliest time misspelt"),
    pytest.param("time", {"min": "12:00", "max": "11:00"}, "min", id="earliest time after latest"),
    pytest.param("date_time", {"max": "2023-02-30"}, "max", id="limit of day and time that does not exist"),
    pytest.param("linear_scale", {"min": 2}, "min", id="scale from 2"),
    pytest.param("linear_scale", {"max": 11}, "max", id="endless scale"),
    pytest.param("star_rating", {"max": 2}, "max", id="two stars"),
    pytest.param("nps", {"max": 5}, "max", id="shorter net promoter score"),
]


@pytest.mark.parametrize(("type", "settings", "path"), SETTINGS)
def test_settings_are_refused_by_name(type: str, settings: dict[str, Any], path: str) -> None:
    found = list(fields.get(type).problems(settings))

    assert path in [where for where, _message in found]


@pytest.mark.parametrize("element", EVERY_TYPE, ids=lambda element: element["key"])
def test_the_sample_of_a_field_is_a_clean_answer(element: dict[str, Any]) -> None:
    compiled = schema.compile(a_document(element), "IN")

    answers = schema.sample(list(compiled.fields.values()), "IN")

    assert compiled.clean(answers) == answers


@pytest.mark.parametrize("name", fields.names())
def test_a_type_says_what_it_is_in_words(name: str) -> None:
    field_type = fields.get(name)

    assert field_type.name == name
    assert str(field_type.label)
    assert field_type.accessibility.endswith(".")
    assert all(rule["title"] and rule["description"] for rule in field_type.settings.values())


def test_catastrophic_patterns_come_to_an_end() -> None:
    """Where a pattern is tried by going back and forth, this one outlives us."""
    compiled = schema.compile(
        a_document(a_question("long_text", settings={"pattern": "(a+)+$|(a|aa)+b", "example": "a"}))
    )
    with pytest.raises(AnswersRefused):
        compiled.clean({"answer": "a" * 5_000 + "!"})


def test_cells_show_the_words_of_choices_and_keep_numbers_numbers() -> None:
    document = a_document(*EVERY_TYPE)
    compiled = schema.compile(document, "IN")
    answers = {"single": "g", "multiple": ["red", "g"], "decimal": 8.04, "yes_no": True, "consent": AGREED}
    answers |= {"country": "DE", "amount": 12.5, "scale": 4, "date_time": "2024-02-29T23:59", "time": "09:30"}

    row = dict(zip([column.key for column in compiled.layout.columns], compiled.layout.row(answers), strict=True))

    assert row["single"] == "Green"
    assert row["multiple"] == "red, Green"
    assert row["decimal"] == 8.04
    assert row["yes_no"] is True
    assert row["consent"] == f"Agreed (text {AGREED})"
    assert row["email"] is None
    assert (row["country"], row["amount"]) == ("Germany", 12.5)
    assert row["scale"] == 4
    assert row["date_time"] == datetime(2024, 2, 29, 23, 59)  # noqa: DTZ001 - of the clock where it is meant
    assert row["time"] == "09:30"


def test_countries_are_those_of_the_standard_and_kosovo() -> None:
    assert len(country.CODES) == 249 + 1
    assert {"IN", "DE", "GB", "TW", "PS", "XK"} <= set(country.CODES)


def test_countries_have_names_in_the_language_of_the_page_and_stand_by_them() -> None:
    german = fields.get("country").context(Element("country", "c", settings={"first": ["IN"]}), " at ", "de")["choices"]

    assert [choice["value"] for choice in german][:2] == ["IN", "AF"]
    labels = [choice["label"] for choice in german]
    assert labels.index("Oman") < labels.index("Österreich") < labels.index("Pakistan")
    assert [choice["value"] for choice in german if choice["chosen"]] == ["AT"]
    assert country.country_names("ar")["IN"] == "الهند"
    assert country.country_names("tlh")["IN"] == "India"


def test_a_country_that_stands_twice_is_chosen_once() -> None:
    twice = fields.get("country").context(Element("country", "c", settings={"first": ["DE"]}), "DE", "en")["choices"]

    assert [(choice["value"], place) for place, choice in enumerate(twice) if choice["chosen"]] == [("DE", 0)]


def test_an_amount_is_shown_with_its_currency_and_all_its_decimal_places() -> None:
    amount = fields.get("currency")

    assert amount.display({"currency": "EUR"}, 12.5, "en") == "12.50 EUR"
    assert amount.display({"currency": "JPY"}, 1200, "en") == "1200 JPY"
    assert amount.column(Element("currency", "p", "Price", settings={"currency": "INR"}), "en").label == "Price (INR)"
    assert amount.rule({"currency": "INR"}) == "In INR."
