"""The settings of a webhook: where to, what, and how the receiver knows that it came from here."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.webhook.payload import VERSIONS
from apps.sinks.builtin.webhook.signing import SecretUnfitError, key_of, make_secret
from apps.sinks.contract import SecretField
from apps.sinks.egress import WebAddressField

REMOVED = "-"  # a secret that is sent empty stays, so something has to say that it shall go
HEADERS_MAX = 10
HEADERS_LENGTH = 8000
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[!-~](?:[ -~]{0,1998}[!-~])?")
# What the request itself is made of, and what proxies believe.
_RESERVED = {
    "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "date", "expect",
    "forwarded", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via",
}  # fmt: skip
_RESERVED_BEGINNINGS = ("proxy-", "webhook-", "x-forwarded-", "x-real-")


class NewSecretInput(forms.TextInput):
    """Shows a secret made just now where one is needed and there is none. One that was sent is never shown."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return super().get_context(name, make_secret() if self.is_required else None, attrs)


class SigningField(SecretField):
    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if not text or (text == REMOVED and not self.required):
            return ""
        try:
            key_of(text)
        except SecretUnfitError:
            raise ValidationError(_("A secret is whsec_ followed by 24 to 64 random bytes in base64.")) from None
        return text


class HeadersField(SecretField):
    """One `Name: value` a line."""

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if text == REMOVED:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if len(lines) > HEADERS_MAX:
            raise ValidationError(_("Give at most %(count)d headers.") % {"count": HEADERS_MAX})
        pairs = [_pair(number, line) for number, line in enumerate(lines, 1)]
        if len({name.lower() for name, _value in pairs}) < len(pairs):
            raise ValidationError(_("Give each header once."))
        return "\n".join(f"{name}: {content}" for name, content in pairs)


class WebhookConfig(forms.Form):
    url = WebAddressField(
        label=gettext_lazy("address"),
        help_text=gettext_lazy("Submissions are posted here. Your receiver answers 2xx when it has them."),
    )
    secret = SigningField(
        label=gettext_lazy("signing secret"),
        max_length=200,
        widget=NewSecretInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "Copy it to your receiver now: it is not shown again. Or enter one of your own: whsec_ followed by 24 to "
            "64 random bytes in base64."
        ),
    )
    second_secret = SigningField(
        label=gettext_lazy("second signing secret"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("To change the secret: both sign, until only the second does. A single - removes it."),
    )
    second_only = forms.BooleanField(
        label=gettext_lazy("only the second secret from now on"),
        required=False,
        help_text=gettext_lazy("The second takes the first one's place. Tick this when your receiver knows it."),
    )
    thin = forms.BooleanField(
        label=gettext_lazy("without answers"),
        required=False,
        help_text=gettext_lazy("Sends ids and a link only; your receiver fetches the rest with an API key."),
    )
    several = forms.BooleanField(
        label=gettext_lazy("several submissions in one request"),
        required=False,
        help_text=gettext_lazy("Up to 100 that come within seconds of each other arrive as one list."),
    )
    version = forms.ChoiceField(
        label=gettext_lazy("version of the payload"),
        choices=[(version, version) for version in VERSIONS],
        initial=VERSIONS[-1],
    )
    headers = HeadersField(
        label=gettext_lazy("further headers"),
        required=False,
        max_length=HEADERS_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "One a line, such as Authorization: Bearer ... They are not shown again. A single - removes them."
        ),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.pop("second_only", False) and "second_secret" not in self.errors:
            if not cleaned.get("second_secret"):
                self.add_error("second_only", _("There is no second secret: enter it first."))
            else:
                cleaned["secret"], cleaned["second_secret"] = cleaned["second_secret"], ""
        return cleaned | {"second_only": False}


def headers_of(text: str) -> dict[str, str]:
    """Of a text that HeadersField has cleaned."""
    return dict(line.split(": ", 1) for line in text.splitlines())


def _pair(number: int, line: str) -> tuple[str, str]:
    """Raises ValidationError, which names the line by its number: it may hold a secret."""
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValidationError(_("Line %(number)d: write Name: value, in ASCII.") % {"number": number})
    if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_BEGINNINGS):
        raise ValidationError(_("Line %(number)d: this header is not yours to set.") % {"number": number})
    return name, value
