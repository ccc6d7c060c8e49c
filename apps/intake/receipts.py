"""The link that a respondent gets: it shows that, and when, their submission was accepted, and nothing else.

A token holds form, submission and accept time, signed for this purpose alone; it is not a secret to the respondent
and gives no way to the answers.
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PACKED = struct.Struct(">16s16sq")
_SALT = "formhub.intake.receipt"


@dataclass(frozen=True, slots=True)
class Receipt:
    form: UUID
    id: UUID
    accepted_at: datetime


class NoReceiptError(ValueError):
    """The token was not made here, or not for this."""


def issue(receipt: Receipt) -> str:
    """A token for a path: letters, digits, dash, underscore and one dot."""
    microseconds = (receipt.accepted_at - _EPOCH) // timedelta(microseconds=1)
    packed = _PACKED.pack(receipt.form.bytes, receipt.id.bytes, microseconds)
    return _signer(settings.SECRET_KEY).sign(urlsafe_b64encode(packed).decode().rstrip("="))


def read(token: str) -> Receipt:
    """Raises NoReceiptError."""
    try:
        text = _signer(settings.SECRET_KEY).unsign(token)
        form, id, microseconds = _PACKED.unpack(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (BadSignature, ValueError, struct.error) as error:
        raise NoReceiptError("not a receipt") from error
    return Receipt(UUID(bytes=form), UUID(bytes=id), _EPOCH + timedelta(microseconds=microseconds))


@lru_cache(maxsize=1)
def _signer(key: str) -> Signer:
    return Signer(key=key, sep=".", salt=_SALT)
