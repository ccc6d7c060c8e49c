"""Where a page of submissions begins, as a token: signed for this purpose, and good for one form and one order alone.

A page begins beyond a position, in the list's direction or against it. So new rows neither shift a page nor show a row
twice, and any depth costs the same.
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from django.core.signing import BadSignature, Signer

NEWEST, LOG = "newest", "log"
ORDERS = (NEWEST, LOG)
_PACKED = struct.Struct(">16s??q")
_SALT = "formhub.console.cursor"


class NoCursorError(ValueError):
    """The token was not made here, or is cut short."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """`beyond`: None at the beginning of the list. `back`: the page lies before the place, towards the beginning."""

    form: UUID
    order: str
    beyond: int | None = None
    back: bool = False

    @property
    def descending(self) -> bool:
        """Whether the rows are read by falling position."""
        return (self.order == NEWEST) is not self.back

    def onward(self, position: int) -> "Cursor":
        """The page after the row at `position`."""
        return Cursor(self.form, self.order, position)

    def backward(self, position: int) -> "Cursor":
        """The page before the row at `position`."""
        return Cursor(self.form, self.order, position, back=True)

    def including(self) -> "Cursor":
        """The other way from the same place, the row at the place included."""
        assert self.beyond is not None
        return Cursor(self.form, self.order, self.beyond + (-1 if self.descending else 1), back=not self.back)


def issue(cursor: Cursor) -> str:
    """A token for an address: letters, digits, dash, underscore and one dot."""
    assert cursor.beyond is not None
    packed = _PACKED.pack(cursor.form.bytes, cursor.order == NEWEST, cursor.back, cursor.beyond)
    return _signer().sign(urlsafe_b64encode(packed).decode().rstrip("="))


def read(token: str) -> Cursor:
    """Raises NoCursorError."""
    try:
        text = _signer().unsign(token)
        form, newest, back, beyond = _PACKED.unpack(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (BadSignature, ValueError, struct.error) as error:
        raise NoCursorError("not a cursor") from error
    return Cursor(UUID(bytes=form), NEWEST if newest else LOG, beyond, back)


def _signer() -> Signer:
    return Signer(sep=".", salt=_SALT)
