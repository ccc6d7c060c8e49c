"""Google's API through gspread: few verbs, each call bounded, every failure told by what it means for a batch.

gspread's own client neither retries nor waits forever with the timeouts set here; its back-off client is unfit, since
it repeats a POST whose answer was lost without knowing what was applied.
"""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import gspread
import orjson
import requests
from django.conf import settings
from django.utils.translation import gettext as _
from google.auth import exceptions as auth
from google.oauth2.service_account import Credentials
from gspread.exceptions import APIError
from gspread.urls import SPREADSHEET_BATCH_UPDATE_URL, SPREADSHEET_URL, SPREADSHEET_VALUES_URL
from urllib3.exceptions import NewConnectionError

from apps.sinks.builtin.google_sheets.config import ServiceAccount
from apps.sinks.contract import (
    AmbiguousError,
    BackpressureError,
    ConfigurationError,
    DeliveryError,
    PermanentError,
    RetryableError,
)

T = TypeVar("T")
SCOPE = "https://www.googleapis.com/auth/spreadsheets"
SECONDS = (5, 30)  # to connect, and between two pieces of an answer
CLIENTS_MAX = 16  # per thread; each holds a token, which costs a call to get
_INDEX = re.compile(r"requests\[(\d+)\]")
_TIMEFRAME = "in a reasonable timeframe"  # what Google asks of the times in a token's claim
_FULL = re.compile(r"limit of \d+ cells|\d{8} cells")


class RejectedError(Exception):
    """400 or 409: nothing of this call was applied. Whether an earlier one was, only the marker tells.

    index: the request that Google names. locked: it lies in a protected range. full: no room for more cells.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__("Google refused the request.")  # Google's text may quote an answer
        self.status = status
        found = _INDEX.search(message)
        self.index = int(found.group(1)) if found else None
        self.locked = "protected" in message
        self.full = bool(_FULL.search(message))


class AccountRefusedError(ConfigurationError):
    """This account may not do it; another one may."""


class _Http(gspread.HTTPClient):
    """Sends what is meant for Google to the address in SHEETS_BASE_URL, if there is one."""

    def request(self, method: Any, endpoint: Any, *args: Any, **kwargs: Any) -> Any:
        base = settings.SHEETS_BASE_URL.rstrip("/")
        return super().request(method, base + urlsplit(endpoint).path if base else endpoint, *args, **kwargs)


class _EmulatedCredentials(Credentials):  # type: ignore[misc, no-any-unimported, unused-ignore]
    """google-auth asks Google, beside each token, which regions an account may use: not for an emulated one."""

    def _is_regional_access_boundary_lookup_required(self) -> bool:
        return False


class SheetsClient:
    """One account's calls on one spreadsheet. Raises the DeliveryError family, and RejectedError from writes."""

    def __init__(self, account: ServiceAccount, spreadsheet: str) -> None:
        self._account = account
        self._spreadsheet = spreadsheet
        self._http = _http(account)

    def batch_update(self, body: bytes) -> None:
        """Everything in the body or nothing. AmbiguousError: one of the two, the answer was lost."""
        headers = {"Content-Type": "application/json"}
        address = SPREADSHEET_BATCH_UPDATE_URL % self._spreadsheet
        # Only the mark that the call arrived is wanted of the answer, not a reply for each request.
        params = {"fields": "spreadsheetId"}
        self._call(lambda: self._http.request("post", address, params, body, headers=headers).json(), write=True)

    def answered(self, body: bytes) -> dict[str, Any]:
        """Like `batch_update`, with all that Google answers."""
        headers = {"Content-Type": "application/json"}
        address = SPREADSHEET_BATCH_UPDATE_URL % self._spreadsheet
        found: dict[str, Any] = self._call(
            lambda: self._http.request("post", address, None, body, headers=headers).json(), write=True
        )
        return found

    def get(self, fields: str) -> dict[str, Any]:
        address = SPREADSHEET_URL % self._spreadsheet
        found: dict[str, Any] = self._read(lambda: self._http.request("get", address, {"fields": fields}).json())
        return found

    def values(self, area: str) -> list[list[Any]]:
        """The texts of an area in A1 notation, row by row, without what is blank at the end.

        Raises RejectedError as well: where a tab was renamed, its area is gone.
        """
        address = SPREADSHEET_VALUES_URL % (self._spreadsheet, quote(area, safe=""))
        found: dict[str, Any] = self._call(lambda: self._http.request("get", address).json(), write=False)
        return list(found.get("values", []))

    def marker(self, number: int) -> str | None:
        """The value of the spreadsheet's metadata with this id, None if there is none."""
        found = self._metadata(number)
        return None if found is None else str(found.get("metadataValue", ""))

    def place_of(self, number: int) -> int | None:
        """The row or column that the metadata with this id stands at."""
        found = self._metadata(number) or {}
        area = found.get("location", {}).get("dimensionRange")
        return None if area is None else int(area.get("startIndex", 0))

    def _metadata(self, number: int) -> dict[str, Any] | None:
        address = SPREADSHEET_URL % self._spreadsheet + "/developerMetadata:search"
        body = orjson.dumps({"dataFilters": [{"developerMetadataLookup": {"metadataId": number}}]})
        headers = {"Content-Type": "application/json"}
        found = self._read(lambda: self._http.request("post", address, None, body, headers=headers).json())
        matched = [entry["developerMetadata"] for entry in found.get("matchedDeveloperMetadata", [])]
        return matched[0] if matched else None

    def _read(self, work: Callable[[], T]) -> T:
        try:
            return self._call(work, write=False)
        except RejectedError as error:
            raise PermanentError(str(error), code="rejected") from error

    def _call(self, work: Callable[[], T], *, write: bool) -> T:
        try:
            return work()
        except APIError as error:
            raise self._refusal(error.response, write) from error
        except auth.RefreshError as error:
            raise self._no_token(error) from error
        except auth.TransportError as error:
            raise RetryableError(_("Google's sign-in does not answer.")) from error
        except requests.RequestException as error:
            raise _broken(error, write) from error

    def _refusal(self, response: requests.Response, write: bool) -> Exception:
        status, error = response.status_code, _error_of(response)
        message = str(error.get("message", ""))
        if status in {400, 409} or (status == 403 and write and "protected" in message):
            return RejectedError(message, status)
        if status == 429 or _reason(error) == "RATE_LIMIT_EXCEEDED":
            # The quota is refilled when the minute turns.
            message, rates = _("Google's quota of calls per minute is used up."), _rates_of(error)
            return BackpressureError(message, after=61 - time.time() % 60, rates=rates)
        if status in {401, 403, 404}:
            return self._misconfigured(status, error)
        if status >= 500 or status == 408:
            return _lost(_("Google answered with an error (%(status)d).") % {"status": status}, write)
        return PermanentError(_("Google refused the call (%(status)d).") % {"status": status}, code=f"http_{status}")

    def _misconfigured(self, status: int, error: Mapping[str, Any]) -> ConfigurationError:
        email = self._account.email
        if status == 401:
            return self._revoked()
        if status == 404:
            return ConfigurationError(
                _("There is no such spreadsheet."),
                remedy=_("It was deleted, or its address is wrong: correct the address in the action's settings."),
            )
        if _reason(error) == "SERVICE_DISABLED":
            return ConfigurationError(
                _("The Google Sheets API is switched off in the project %(project)s.")
                % {"project": self._account.project},
                remedy=_("Switch it on in Google's console under APIs & Services, wait a few minutes, and resume."),
            )
        return AccountRefusedError(
            _("%(email)s may not write to this spreadsheet.") % {"email": email},
            remedy=_("Share the spreadsheet with %(email)s as an editor, and resume.") % {"email": email},
        )

    def _no_token(self, error: auth.RefreshError) -> DeliveryError:
        if error.retryable:
            return RetryableError(_("Google's sign-in does not answer."))
        if _TIMEFRAME in str(error):
            # Nothing is wrong with the key, and nobody has to resume the action once the time is right again.
            return RetryableError(_("Google finds the clock of this worker wrong: set the time of its machine."))
        return self._revoked()

    def _revoked(self) -> ConfigurationError:
        return AccountRefusedError(
            _("Google does not accept the key of %(email)s: it was deleted or its account is disabled.")
            % {"email": self._account.email},
            remedy=_("Make a new key for the account in Google's console and paste it into the action's settings."),
        )


_local = threading.local()


def _http(account: ServiceAccount) -> _Http:
    """This thread's client for the account: credentials are not safe to share between threads."""
    clients: OrderedDict[tuple[str, ...], _Http] = _local.__dict__.setdefault("clients", OrderedDict())
    key = (account.email, account.info["private_key_id"], account.info["token_uri"], settings.SHEETS_BASE_URL)
    found = clients.pop(key, None)
    if found is None:
        try:
            kind = _EmulatedCredentials if settings.SHEETS_BASE_URL else Credentials
            credentials = kind.from_service_account_info(dict(account.info), scopes=[SCOPE])  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise ConfigurationError(
                _("The service account's key cannot be read."), remedy=_("Paste the service account's key again.")
            ) from error
        found = _Http(credentials)
        found.set_timeout(SECONDS)
    clients[key] = found
    while len(clients) > CLIENTS_MAX:
        clients.popitem(last=False)[1].session.close()
    return found


def _broken(error: requests.RequestException, write: bool) -> DeliveryError:
    message = _("Google does not answer.")
    if isinstance(error, requests.ConnectTimeout) or _never_connected(error):
        return RetryableError(message)
    return _lost(message, write)


def _never_connected(error: requests.RequestException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)


def _lost(message: str, write: bool) -> DeliveryError:
    return AmbiguousError(message) if write else RetryableError(message)


def _error_of(response: requests.Response) -> Mapping[str, Any]:
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _rates_of(error: Mapping[str, Any]) -> frozenset[str]:
    """The rates of the policy that are used up; Google names them as WriteRequestsPerMinutePerUser and alike."""
    details = [entry for entry in error.get("details") or () if isinstance(entry, dict)]
    limits = [str((entry.get("metadata") or {}).get("quota_limit", "")) for entry in details]
    return frozenset(
        kind + ("_project" if limit.endswith("PerProject") else "")
        for limit in limits
        for kind in ("read", "write")
        if limit.casefold().startswith(kind)
    )


def _reason(error: Mapping[str, Any]) -> str:
    details = error.get("details")
    found = [str(entry.get("reason", "")) for entry in details or () if isinstance(entry, dict)]
    return next((reason for reason in found if reason), "")
