import re
from collections.abc import Iterator
from typing import Any

import phonenumbers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields import phone_plan
from apps.forms.fields.base import Cleaner, FieldType, Refused, Settings, plain_text

# What people type in a number. Other digits, letters and extensions would be dropped or changed without a word.
WRITTEN = re.compile(r"\+?[0-9 ()./\u00a0\u2010-\u2013-]{2,30}")


class Phone(FieldType):
    """A number that may exist by its country's plan, kept in E.164: +919876543210."""

    name = "phone"
    label = gettext_lazy("Phone number")
    settings = {
        "region": {
            "type": "string",
            "pattern": "^[A-Z]{2}$",
            "title": "Region",
            "description": "Country (two letters, as IN) of numbers written without one; else that of the form.",
        },
    }
    accessibility = "type=tel and autocomplete=tel: fitting keyboards, and browsers offer to fill it in."

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        if settings.get("region") and settings["region"] not in phonenumbers.SUPPORTED_REGIONS:
            yield "region", _("No country with phone numbers has this code.")

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "string", "pattern": "^\\+[1-9][0-9]{2,16}$"}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        home = settings.get("region") or region or None

        def clean(value: Any) -> str | None:
            answer = plain_text(value)
            return None if answer is None else e164(answer.strip(), home)

        return clean

    def sample(self, settings: Settings, region: str) -> str:
        home = settings.get("region") or region or "IN"
        number = phonenumbers.example_number(home) or phonenumbers.example_number("IN")
        return "" if number is None else _e164(number)

    def display(self, settings: Settings, value: Any, language: str) -> str:
        try:
            number = phonenumbers.parse(str(value or ""))
        except phonenumbers.NumberParseException:
            return super().display(settings, value, language)
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def e164(answer: str, region: str | None) -> str:
    """The number in E.164; `region` is that of numbers without a country code. Refuses what no plan knows."""
    if not WRITTEN.fullmatch(answer):
        raise _refused(answer, region)
    common = phone_plan.common_number(answer, region) if region else None
    return common if common is not None else _looked_up(answer, region)


def _looked_up(answer: str, region: str | None) -> str:
    try:
        number = phonenumbers.parse(answer, region)
    except phonenumbers.NumberParseException as error:
        raise _refused(answer, region) from error
    if not phonenumbers.is_valid_number(number):
        raise _refused(answer, region)
    return _e164(number)


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _refused(answer: str, region: str | None) -> Refused:
    if region is None and not answer.startswith("+"):
        return Refused("invalid_phone", _("Begin with + and the country code, for example +91 98765 43210."))
    return Refused("invalid_phone", _("Check the phone number: no digit missing and none too many."))
