"""What is decided without a library is decided as the library would."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.forms.fields import email, phone, phone_plan
from apps.forms.fields.base import Refused

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
names = st.text("abzAZ09._+-", min_size=1, max_size=12)
labels = st.text("abzAZ09-", min_size=1, max_size=8)
endings = st.sampled_from(["org", "de", "museum", "test", "local", "invalid", "onion", "arpa", "c", "x1", "internal"])
addresses = st.builds("{}@{}.{}".format, names, st.lists(labels, min_size=1, max_size=3).map(".".join), endings)


@settings(max_examples=1_000, deadline=None)
@given(addresses)
def test_a_plain_address_is_what_the_library_makes_of_it(address: str) -> None:
    found = email.plain_address(address)

    assert found is None or found == email.checked_address(address)


@pytest.mark.parametrize("length", [63, 64, 65, 66])
def test_the_lengths_of_addresses_end_where_the_librarys_do(length: int) -> None:
    for address in ("a" * length + "@example.org", "a@" + "b" * length + ".org", "a@" + "b." * 121 + "c" * length):
        found = email.plain_address(address)
        assert found is None or found == email.checked_address(address)


@settings(max_examples=3_000, deadline=None)
@given(
    region=st.sampled_from(REGIONS),
    start=st.sampled_from(["", "+", "code", "plus code"]),
    digits=st.text("0123456789 -", min_size=2, max_size=14),
)
def test_a_common_number_is_what_the_library_makes_of_it(region: str, start: str, digits: str) -> None:
    code = str(phonenumbers.country_code_for_region(region))
    agree(start.replace("plus ", "+").replace("code", code) + digits, region)


@pytest.mark.parametrize("region", REGIONS)
def test_numbers_of_each_country_are_what_the_library_makes_of_them(region: str) -> None:
    for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None or example.national_number is None:
            continue
        for number in range(50):
            national = str(example.national_number + number * 7919)
            agree(national, region)
            agree(f"+{example.country_code}{national}", region)
            agree(f"{example.country_code}{national}", region)


def agree(answer: str, region: str) -> None:
    found = phone_plan.common_number(answer, region)
    if found is None:
        return
    try:
        expected = phone._looked_up(answer, region)
    except Refused:
        expected = "refused"
    assert found == expected


def test_an_indian_mobile_number_is_a_common_one() -> None:
    assert phone_plan.common_number("98765 43210", "IN") == "+919876543210"
    assert phone_plan.common_number("+919876543210", "IN") == "+919876543210"
