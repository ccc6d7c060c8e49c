"""In which of its languages a form is shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language_info
from django.utils.translation.trans_real import parse_accept_lang_header

PARAMETER = "lang"


@dataclass(frozen=True, slots=True)
class Language:
    """`name` is in the language itself. `ours`: the language of our own words, where they do not speak this one."""

    code: str
    name: str
    rtl: bool
    ours: str


def chosen(request: HttpRequest, languages: Sequence[str]) -> str:
    """What `?lang=` asks for, else the first that the browser prefers, else the form's own first."""
    wanted = [request.GET.get(PARAMETER, "")]
    wanted += [code for code, _weight in parse_accept_lang_header(request.headers.get("Accept-Language", ""))]
    found = (match for code in wanted if (match := _match(code, languages)))
    return next(found, languages[0])


def described(code: str) -> Language:
    ours = _match(code, [known for known, _name in settings.LANGUAGES]) or settings.LANGUAGE_CODE
    try:
        info = get_language_info(code.lower())
    except KeyError:  # one that Django has never heard of
        return Language(code, code, rtl=False, ours=ours)
    return Language(code, info["name_local"], info["bidi"], ours)


def _match(wanted: str, languages: Sequence[str]) -> str | None:
    """The language itself or, as de for de-AT, its nearest kin."""
    wanted = wanted.lower()
    kin = [code for code in languages if _base(code) == _base(wanted)] if wanted else []
    return next((code for code in kin if code.lower() == wanted), kin[0] if kin else None)


def _base(code: str) -> str:
    return code.lower().partition("-")[0]
