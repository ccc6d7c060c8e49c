from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.core.signing import Signer
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.intake import receipts
from apps.intake.receipts import NoReceiptError, Receipt
from apps.intake.tests.forms import FORM

pytestmark = pytest.mark.urls("apps.intake.tests.urls")

AT = datetime(2026, 11, 3, 9, 14, 7, 512345, tzinfo=UTC)


def test_a_token_holds_what_was_put_in() -> None:
    receipt = Receipt(FORM, uuid4(), AT)
    token = receipts.issue(receipt)

    assert receipts.read(token) == receipt
    assert all(character.isalnum() or character in "-_." for character in token)


def test_a_changed_or_borrowed_token_is_refused() -> None:
    token = receipts.issue(Receipt(FORM, uuid4(), AT))
    text, signature = token.split(".")
    other = receipts.issue(Receipt(FORM, uuid4(), AT)).split(".")[0]
    for forged in (text, f"{text}.", f"{other}.{signature}", Signer(sep=".", salt="elsewhere").sign(text)):
        with pytest.raises(NoReceiptError):
            receipts.read(forged)


@given(st.text())
def test_any_other_text_is_no_receipt(text: str) -> None:
    with pytest.raises(NoReceiptError):
        receipts.read(text)


def test_the_page_says_when_and_under_which_number_and_no_more(client: Client) -> None:
    receipt = Receipt(FORM, uuid4(), AT)
    response = client.get(f"/r/{receipts.issue(receipt)}/")
    page = response.content.decode()

    assert response.status_code == 200
    assert str(receipt.id) in page
    assert 'datetime="2026-11-03T09:14:07.512345+00:00"' in page
    assert "Student data" in page
    assert response["X-Robots-Tag"] == "noindex"
    assert "Set-Cookie" not in response


def test_an_unknown_token_is_not_found(client: Client) -> None:
    assert client.get("/r/abc.def/").status_code == 404


def test_a_receipt_stands_when_its_form_is_gone(client: Client) -> None:
    token = receipts.issue(Receipt(uuid4(), uuid4(), AT))
    assert client.get(f"/r/{token}/").status_code == 200
