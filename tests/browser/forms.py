"""Definitions that the browser tests publish."""

import json
from pathlib import Path
from typing import Any

from apps.forms import definition

STUDENT: dict[str, Any] = json.loads(
    (Path(definition.__file__).parent / "samples" / "student_data.json").read_text(encoding="utf-8")
)


def said(en: str, ar: str) -> dict[str, str]:
    return {"en": en, "ar": ar}


def asked(type: str, key: str, label: dict[str, str], **members: Any) -> dict[str, Any]:
    return {"type": type, "key": key, "label": label, **members}


def chosen(*labels: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [{"value": value, "label": said(en, ar)} for value, en, ar in labels]


# Every type of question, in two languages that are written in opposite directions.
EVENT: dict[str, Any] = {
    "format": "formhub/1",
    "title": "Event sign-up",
    "languages": ["en", "ar"],
    "pages": [
        {
            "key": "you",
            "title": said("About you", "عنك"),
            "help": said("Three questions.", "ثلاثة أسئلة."),
            "elements": [
                asked(
                    "statement",
                    "welcome",
                    said("Welcome", "مرحبا"),
                    settings={"text": said("We look forward to seeing you.", "نتطلع لرؤيتك.")},
                ),
                asked(
                    "short_text", "name", said("Your name", "اسمك"), required=True, settings={"autocomplete": "name"}
                ),
                asked(
                    "email",
                    "email",
                    said("E-mail", "البريد الإلكتروني"),
                    required=True,
                    help=said("Only for news about the event.", "لأخبار الحدث فقط."),
                ),
                asked(
                    "group",
                    "arrival",
                    said("Arrival", "الوصول"),
                    elements=[
                        asked("date", "day", said("Day", "اليوم"), settings={"min": "2026-01-01", "max": "today+3650"}),
                        asked("phone", "phone", said("Phone", "الهاتف")),
                    ],
                ),
            ],
        },
        {
            "key": "stay",
            "title": said("Your stay", "إقامتك"),
            "elements": [
                asked(
                    "single_choice",
                    "room",
                    said("Room", "الغرفة"),
                    required=True,
                    settings={
                        "choices": chosen(
                            ("s", "Single", "فردية"),
                            ("d", "Double, with a window to the garden and a door to the yard", "مزدوجة"),
                        ),
                        "other": True,
                    },
                ),
                asked(
                    "multiple_choice",
                    "food",
                    said("Food", "الطعام"),
                    settings={"choices": chosen(("v", "Vegetarian", "نباتي"), ("g", "Gluten-free", "بلا غلوتين"))},
                ),
                asked(
                    "dropdown", "size", said("T-shirt", "القميص"), settings={"choices": ["S", "M", "L"], "other": True}
                ),
                asked(
                    "multi_dropdown",
                    "sessions",
                    said("Sessions", "الجلسات"),
                    settings={"choices": chosen(("t", "Talks", "محاضرات"), ("c", "Concert", "حفل"))},
                ),
                {"type": "divider", "key": "line"},
                asked("yes_no", "first", said("Is it your first time?", "هل هذه أول مرة؟")),
                asked("integer", "nights", said("Nights", "الليالي"), settings={"min": 1, "max": 9}),
                asked("decimal", "budget", said("Budget", "الميزانية")),
                asked("currency", "fare", said("Fare", "الأجرة"), settings={"currency": "EUR"}),
                asked(
                    "country", "origin", said("Where do you come from?", "من أين أنت؟"), settings={"only": ["IN", "DE"]}
                ),
                asked("time", "at", said("Arrival at", "وقت الوصول"), settings={"min": "08:00", "max": "20:00"}),
                asked("date_time", "leave", said("Departure", "المغادرة")),
                asked(
                    "linear_scale",
                    "warm",
                    said("How warm do you like it?", "كم تحب الدفء؟"),
                    settings={"min_label": said("Cold", "بارد"), "max_label": said("Hot", "حار")},
                ),
                asked("star_rating", "last", said("How was last year?", "كيف كان العام الماضي؟")),
                asked("nps", "nps", said("How likely are you to recommend us?", "ما مدى احتمال أن توصي بنا؟")),
                asked("url", "site", said("Your site", "موقعك")),
                asked("long_text", "else", said("Anything else?", "شيء آخر؟")),
                asked(
                    "consent",
                    "consent",
                    said("Consent", "الموافقة"),
                    required=True,
                    settings={"text": said("I agree that my answers are kept.", "أوافق على حفظ إجاباتي.")},
                ),
            ],
        },
    ],
    "endings": [
        {"key": "thanks", "title": said("See you soon", "أراك قريبا"), "text": said("Come early.", "تعال مبكرا.")}
    ],
    "settings": {},
}
