"""What may stand behind the question mark of an address: known names, each once, with values that are understood."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Q
from django.http import QueryDict
from django.utils.dateparse import parse_datetime

from formhub.core.problem import Problem

T = TypeVar("T")
LIMIT, LIMIT_MAX = 100, 1000
PAGING = ("limit", "cursor")


class UnusableError(ValueError):
    """A parameter's value; the message says what to send."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A parameter that narrows a list: the lookup it becomes, and how its value is read (raises UnusableError)."""

    lookup: str | Callable[[Any], Any]
    read: Callable[[str], Any] = str
    description: str = ""
    schema: Any = None

    def condition(self, value: Any) -> Any:
        return Q(**{self.lookup: value}) if isinstance(self.lookup, str) else self.lookup(value)


def check_names(params: QueryDict, known: Collection[str] = ()) -> list[dict[str, Any]]:
    """An error for each parameter that is not known, and for each that stands more than once."""
    wanted = f"Use only {', '.join(known)}." if known else "Nothing can be asked for here."
    unknown = [
        wrong(name, "unknown_parameter", f"There is no such parameter. {wanted}") for name in set(params) - set(known)
    ]
    twice = [wrong(name, "repeated", "Give this parameter once.") for name in known if len(params.getlist(name)) > 1]
    return unknown + twice


def wrong(name: str, code: str, message: str, **params: Any) -> dict[str, Any]:
    return {"field": name[:100], "code": code, "message": message, "params": params}


def refuse(errors: list[dict[str, Any]]) -> None:
    """Raises Problem 400 if there is anything to refuse."""
    if errors:
        raise Problem(400, "bad_parameters", "Some parameters of the address need a change.", errors=errors)


def value_of(params: QueryDict, name: str, read: Callable[[str], T], errors: list[dict[str, Any]]) -> T | None:
    """The parameter's value; None if it is not there, or if it cannot be read: then `errors` has one more."""
    text = params.get(name)
    if text is None:
        return None
    try:
        if "\0" in text:
            raise UnusableError("Remove the NUL character.")
        return read(text)
    except UnusableError as error:
        errors.append(wrong(name, "invalid", str(error)))
        return None


def limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= LIMIT_MAX):
        raise UnusableError(f"Use a whole number from 1 to {LIMIT_MAX}.")
    return int(text)


def whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise UnusableError("Use a whole number.")
    return int(text)


def uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UnusableError("Use an id, as it stands in other answers.") from None


def moment(text: str) -> datetime:
    try:
        # A plus sign that nobody escaped arrives as a space.
        found = parse_datetime(text.replace(" ", "+")) if "T" in text else None
        if found is not None:
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise UnusableError("Use a time such as 2026-11-03T09:14:07Z.")


def one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise UnusableError(f"Use one of {', '.join(choices)}.")
        return text

    return read
