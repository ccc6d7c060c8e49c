import re
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from apps.forms.fields.base import Cleaner, FieldType, Refused, Settings, plain_text

LONGEST = 254  # RFC 5321, as email-validator counts it
# Addresses that need no look-up in tables of Unicode: email-validator takes them as they are, domain in small letters.
PLAIN = re.compile(
    r"(?=.{1,64}@)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
    r"@((?:[A-Za-z0-9](?:[A-Za-z0-9]{0,60}[A-Za-z0-9])?\.)+[A-Za-z]{2,20})"
)
SPECIAL = tuple("." + name for name in SPECIAL_USE_DOMAIN_NAMES)


class Email(FieldType):
    """An address by its form only; whether mail arrives there is not asked. The domain is kept in small letters."""

    name = "email"
    label = gettext_lazy("E-mail")
    accessibility = "type=email and autocomplete=email: fitting keyboards, and browsers offer to fill it in."

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "string", "format": "email", "maxLength": LONGEST}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        return clean

    def sample(self, settings: Settings, region: str) -> str:
        return "someone@example.org"


def clean(value: Any) -> str | None:
    answer = plain_text(value)
    if answer is None:
        return None
    answer = answer.strip()
    plain = plain_address(answer)
    return plain if plain is not None else checked_address(answer)


def plain_address(answer: str) -> str | None:
    """The normal form of a common address; None where email-validator has to look."""
    match = PLAIN.fullmatch(answer)
    if match is None or len(answer) > LONGEST - 1:
        return None
    domain = match[1].lower()
    if ("." + domain).endswith(SPECIAL):
        return None
    return answer[: match.start(1)] + domain


def checked_address(answer: str) -> str:
    if len(answer) > 2 * LONGEST:  # normalizing text is not free
        raise _refused()
    try:
        return validate_email(answer, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise _refused() from error


def _refused() -> Refused:
    return Refused("invalid_email", _("Enter an e-mail address in the form name@example.org."))
