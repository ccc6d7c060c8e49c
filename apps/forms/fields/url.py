import re
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Cleaner, FieldType, Refused, Settings, plain_text

LONGEST = 2_048
UNFIT = re.compile(r"[\s\x00-\x20\x7f\\<>\"]")


class Url(FieldType):
    """A web address, http or https, kept as sent."""

    name = "url"
    label = gettext_lazy("Web address")
    accessibility = "type=url: fitting keyboards; the hint says what the address begins with."

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "string", "maxLength": LONGEST, "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        return clean

    def sample(self, settings: Settings, region: str) -> str:
        return "https://example.org/page"


def clean(value: Any) -> str | None:
    answer = plain_text(value)
    if answer is None:
        return None
    answer = answer.strip()
    if len(answer) <= LONGEST and not _fits(answer):
        raise Refused("invalid_url", _("Enter a web address that begins with https:// or http://."))
    return answer


def _fits(answer: str) -> bool:
    if UNFIT.search(answer):
        return False
    try:
        parts = urlsplit(answer)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc and port != 0
