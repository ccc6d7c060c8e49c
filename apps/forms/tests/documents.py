"""Definition documents for tests."""

from typing import Any

CHOICES = ["red", {"value": "g", "label": {"en": "Green", "de": "Grün"}}, "blue"]


def a_document(*elements: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "format": "formhub/1",
        "title": "Survey",
        "languages": ["en"],
        "pages": [{"key": "p1", "elements": list(elements or [a_question()])}],
        **changes,
    }


def a_question(type: str = "short_text", key: str = "answer", **members: Any) -> dict[str, Any]:
    return {"type": type, "key": key, "label": "A question", **members}


EVERY_TYPE: list[dict[str, Any]] = [
    a_question("short_text", "short", settings={"min_length": 2, "max_length": 20}),
    a_question("short_text", "code", settings={"pattern": "[A-Z]{2}-[0-9]+", "example": "AB-1"}),
    a_question("long_text", "long"),
    a_question("email", "email"),
    a_question("phone", "phone", settings={"region": "DE"}),
    a_question("url", "url"),
    a_question("integer", "integer", settings={"min": -5, "max": 500}),
    a_question("decimal", "decimal", settings={"min": 0, "max": 10, "decimal_places": 2}),
    a_question("decimal", "any_decimal"),
    a_question("currency", "amount", settings={"currency": "EUR", "min": 0}),
    a_question("single_choice", "single", settings={"choices": CHOICES}),
    a_question("single_choice", "single_other", settings={"choices": CHOICES, "other": True}),
    a_question("dropdown", "dropdown", settings={"choices": CHOICES}),
    a_question(
        "multiple_choice",
        "multiple",
        settings={"choices": [*CHOICES, {"value": "none", "exclusive": True}], "min": 2, "max": 3},
    ),
    a_question("multiple_choice", "multiple_other", settings={"choices": CHOICES, "other": True}),
    a_question("multi_dropdown", "multi_dropdown", settings={"choices": CHOICES, "other": True}),
    a_question("country", "country", settings={"first": ["IN", "DE"]}),
    a_question("country", "some_country", settings={"only": ["IN", "NP"]}),
    a_question("yes_no", "yes_no"),
    a_question("consent", "consent", settings={"text": "You may write to me."}),
    a_question("date", "date", settings={"min": "2020-01-01", "max": "today"}),
    a_question("date", "any_date"),
    a_question("time", "time", settings={"min": "09:00", "max": "12:00"}),
    a_question("time", "any_time"),
    a_question("date_time", "date_time", settings={"min": "2020-01-01", "max": "today"}),
    a_question("linear_scale", "scale", settings={"min": 0, "max": 7, "min_label": "Cold", "max_label": "Hot"}),
    a_question("star_rating", "stars"),
    a_question("nps", "nps"),
]
