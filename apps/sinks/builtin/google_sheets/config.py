"""The settings of a Google Sheets action, and the service accounts that speak for it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.contract import ConfigurationError, SecretField

KEY_LENGTH = 10_000
ACCOUNTS_MAX = 50  # of the installation
FURTHER_MAX = 50  # spreadsheets given in advance
_ADDRESS = re.compile(r"/spreadsheets/(?:u/\d+/)?(?:d/)?([\w-]{20,200})")
_ID = re.compile(r"[\w-]{20,200}")
_NEEDED = ("client_email", "private_key", "private_key_id", "project_id", "token_uri")
# Whoever chooses the token address chooses where our worker connects to.
_TOKEN_HOSTS = {"oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com"}


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An account of a Google Cloud project. `info`: its JSON key, with the private key."""

    email: str
    project: str
    info: Mapping[str, str]


class KeyUnusableError(ValueError):
    """A text that is no service account's key; the message says why and holds nothing of it."""


class SpreadsheetField(forms.CharField):
    """A spreadsheet's id, or its address as the browser shows it."""

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        found = _ADDRESS.search(text)
        if found:
            return found.group(1)
        if not text or _ID.fullmatch(text):
            return text
        raise ValidationError(_("Paste the spreadsheet's address, as the browser shows it, or its id."))


class SpreadsheetsField(SpreadsheetField):
    """Spreadsheets, one a line; the value is their ids, one a line."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})

    def clean(self, value: Any) -> str:
        text = forms.CharField.clean(self, value)
        ids = [super(SpreadsheetsField, self).clean(line) for line in text.split()]
        if len(ids) > FURTHER_MAX:
            raise ValidationError(_("Give at most %(count)d spreadsheets.") % {"count": FURTHER_MAX})
        return "\n".join(dict.fromkeys(ids))


class GoogleSheetsConfig(forms.Form):
    spreadsheet = SpreadsheetField(
        label=gettext_lazy("spreadsheet"),
        max_length=500,
        help_text=gettext_lazy("The address of the spreadsheet, as the browser shows it."),
    )
    worksheet = forms.CharField(
        label=gettext_lazy("tab"),
        max_length=100,
        initial="Submissions",
        help_text=gettext_lazy("A tab that is not there yet is made."),
    )
    service_account = SecretField(
        label=gettext_lazy("service account key (JSON)"),
        required=False,
        max_length=KEY_LENGTH,
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
    )
    apostrophe = forms.BooleanField(
        label=gettext_lazy("guard texts that look like formulas"),
        required=False,
        help_text=gettext_lazy(
            "Puts an apostrophe before texts that begin with = + - or @. They are never formulas in the sheet; switch "
            "this on if it is exported and opened in other programs."
        ),
    )
    further = SpreadsheetsField(
        label=gettext_lazy("spreadsheets to go on in"),
        required=False,
        max_length=10_000,
        help_text=gettext_lazy(
            "One address a line. When the spreadsheet is full, the first of these takes its place, and a row that "
            "leads there is written at its end. Share them as well."
        ),
    )
    monthly = forms.BooleanField(
        label=gettext_lazy("a new spreadsheet each month"),
        required=False,
        help_text=gettext_lazy(
            "Goes on in the next of these spreadsheets when a month begins, for as long as there is one."
        ),
    )
    former = SpreadsheetsField(
        label=gettext_lazy("spreadsheets written before"),
        required=False,
        max_length=50_000,
        help_text=gettext_lazy("Kept here when the action goes on in the next one; the newest stands last."),
    )
    newest_first = forms.BooleanField(
        label=gettext_lazy("newest row on top"),
        required=False,
        help_text=gettext_lazy(
            "Rows are inserted below the header instead of at the end. Formulas over columns may not take new rows in."
        ),
    )
    restore_columns = forms.BooleanField(
        label=gettext_lazy("make deleted columns again"),
        required=False,
        help_text=gettext_lazy("Otherwise a column that somebody deletes in the sheet stays deleted."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = ", ".join(account.email for account in own_accounts())
        self.fields["service_account"].help_text = (
            _("Empty: %(emails)s. Share the spreadsheet with every address named here as an editor.") % {"emails": own}
            if own
            else _("The content of the key file that Google gave you. Share the spreadsheet with its client_email.")
        )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("spreadsheet") in lines(cleaned.get("further", "")):
            self.add_error("further", _("The spreadsheet itself is among those to go on in: name others here."))
        return cleaned

    def clean_worksheet(self) -> str:
        title: str = self.cleaned_data["worksheet"]
        if not title.isprintable():
            raise ValidationError(_("A tab's name is one line of text."))
        return title

    def clean_service_account(self) -> str:
        text: str = self.cleaned_data["service_account"]
        if not text:
            if not own_accounts():
                raise ValidationError(_("Paste a service account's key: this installation has none of its own."))
            return ""
        try:
            parse_key(text)
        except KeyUnusableError as error:
            raise ValidationError(str(error)) from None
        return text


def lines(text: str) -> list[str]:
    return text.split()


def accounts_of(config: Mapping[str, Any]) -> tuple[ServiceAccount, ...]:
    """The action's own account, else the installation's. Raises ConfigurationError."""
    text = config.get("service_account")
    try:
        accounts = (_parsed(text),) if text else own_accounts()
    except KeyUnusableError as error:
        raise ConfigurationError(str(error), remedy=_("Paste the service account's key again.")) from error
    if not accounts:
        raise ConfigurationError(
            _("There is no service account to write with."),
            remedy=_("Paste a service account's key into the action's settings."),
        )
    return accounts


def account_of(config: Mapping[str, Any], email: str = "") -> ServiceAccount:
    """The one with this address; the first of them if it is none of them any more. Raises ConfigurationError."""
    accounts = accounts_of(config)
    return next((account for account in accounts if account.email == email), accounts[0])


def own_accounts() -> tuple[ServiceAccount, ...]:
    """The installation's accounts that can be used, all of one Cloud project: markers are seen by one project only."""
    found: dict[str, ServiceAccount] = {}
    for path in key_files():
        try:
            account = _from_file(path, path.stat().st_mtime_ns)
        except (OSError, KeyUnusableError):
            continue  # `manage.py doctor` says so
        found.setdefault(account.email, account)
    accounts = list(found.values())
    return tuple(account for account in accounts if account.project == accounts[0].project)


def key_files() -> list[Path]:
    """What SHEETS_SERVICE_ACCOUNT_FILE names: files and folders of files, separated by commas."""
    files: list[Path] = []
    for name in filter(None, map(str.strip, settings.SHEETS_SERVICE_ACCOUNT_FILE.split(","))):
        path = Path(name)
        files += sorted(path.glob("*.json")) if path.is_dir() else [path]
    return files[:ACCOUNTS_MAX]


def parse_key(text: str) -> ServiceAccount:
    """Raises KeyUnusableError."""
    try:
        info = json.loads(text)
    except ValueError:
        raise KeyUnusableError(_("This is no JSON. Paste the whole content of the key file.")) from None
    if not isinstance(info, dict) or info.get("type") != "service_account":
        raise KeyUnusableError(_("This is no service account's key: its type must be service_account."))
    missing = [name for name in _NEEDED if not isinstance(info.get(name), str) or not info[name]]
    if missing:
        raise KeyUnusableError(_("The key lacks %(names)s.") % {"names": ", ".join(missing)})
    if not _trusted(info["token_uri"]):
        raise KeyUnusableError(_("The key's token_uri is not Google's. Use the key file as Google gave it."))
    try:
        load_pem_private_key(info["private_key"].encode(), None)
    except ValueError:
        raise KeyUnusableError(_("The private key in it cannot be read. Use the key file as Google gave it.")) from None
    return ServiceAccount(info["client_email"], info["project_id"], info)


def _trusted(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if settings.SHEETS_BASE_URL and parts.netloc == urlsplit(settings.SHEETS_BASE_URL).netloc:
        return True  # the emulator
    return parts.scheme == "https" and parts.netloc in _TOKEN_HOSTS


@lru_cache(maxsize=256)
def _parsed(text: str) -> ServiceAccount:
    return parse_key(text)


@lru_cache(maxsize=2 * ACCOUNTS_MAX)
def _from_file(path: Path, changed: int) -> ServiceAccount:
    return parse_key(path.read_text())
