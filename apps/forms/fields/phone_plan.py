"""The common case of a phone number, decided by the tables of phonenumbers without its general search.

A number of the home country, written in digits with spaces or hyphens between, is decided in a tenth of the time.
Whatever could be read in more than one way is left to the library: prefixes to dial, countries that share a code.
"""

import re
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberDesc

DIGITS = re.compile(r"\+?[1-9][0-9]*(?:[ -][0-9]+)*")


@dataclass(frozen=True, slots=True)
class Plan:
    """`lengths` and `kinds` are those of fixed and mobile numbers; `prefixes` may be dialled before a number."""

    code: str
    general: re.Pattern[str]
    kinds: tuple[tuple[frozenset[int], re.Pattern[str]], ...]
    prefixes: tuple[re.Pattern[str], ...]


def common_number(answer: str, region: str) -> str | None:
    """The number in E.164, or None where the library has to look."""
    found = plan(region)
    if found is None or not DIGITS.fullmatch(answer):
        return None
    digits = answer.replace(" ", "").replace("-", "")
    if digits[0] == "+":
        if not digits.startswith(found.code, 1):
            return None
        digits = digits[1 + len(found.code) :]
    if digits[:1] in {"", "0"} or any(prefix.match(digits) for prefix in found.prefixes):
        return None
    if not found.general.fullmatch(digits):
        return None
    if any(len(digits) in lengths and pattern.fullmatch(digits) for lengths, pattern in found.kinds):
        return f"+{found.code}{digits}"
    return None


@cache
def plan(region: str) -> Plan | None:
    """The tables of a region, None if it shares its country code with others."""
    code = phonenumbers.country_code_for_region(region)
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None or COUNTRY_CODE_TO_REGION_CODE.get(code) != (region,):
        return None
    general = metadata.general_desc
    kinds = [kind for kind in (metadata.mobile, metadata.fixed_line) if kind is not None]
    if general is None or not general.national_number_pattern:
        return None
    prefixes = (metadata.national_prefix_for_parsing, metadata.international_prefix)
    return Plan(
        code=str(code),
        general=re.compile(general.national_number_pattern),
        kinds=tuple(_kind(kind, general) for kind in kinds if kind.national_number_pattern),
        prefixes=tuple(re.compile(prefix) for prefix in prefixes if prefix),
    )


def _kind(kind: PhoneNumberDesc, general: PhoneNumberDesc) -> tuple[frozenset[int], re.Pattern[str]]:
    """A kind that has the lengths of all numbers leaves them out."""
    lengths = kind.possible_length or general.possible_length
    return frozenset(lengths), re.compile(kind.national_number_pattern or "(?!)")
