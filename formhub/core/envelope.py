"""What travels in the log: one accepted submission.

Wire format, version 1. Record key: the form's id (36 ASCII characters), so that one form stays in one partition.
Headers: `v` (wire version), `id`, `form`, `version` (the form's version number), all ASCII. Value: a JSON object

    {"id": uuid, "organization": uuid, "form": uuid, "version": int, "accepted_at": ISO 8601 in UTC with microseconds,
     "late": bool, "answers": {field key: clean value}, "meta": {...}}

`late` is set when the submission reached the log through the outbox. Readers ignore members they do not know, so
members may be added; any other change raises the wire version. A reader that meets a version it does not know keeps
the raw record and goes on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

WIRE_VERSION = 1
MAX_ENVELOPE_BYTES = 1_572_864  # 1.5 MiB: below the topic's message limit of 2 MiB with room for headers

Headers = tuple[tuple[str, bytes], ...]


class UnreadableRecordError(ValueError):
    """A record that is no envelope of a known version. `code` is `malformed` or `unknown_version`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class EnvelopeTooLargeError(ValueError):
    """The encoded envelope is over MAX_ENVELOPE_BYTES."""


@dataclass(frozen=True, slots=True)
class Envelope:
    id: UUID
    organization: UUID
    form: UUID
    version: int
    accepted_at: datetime
    answers: dict[str, Any]
    meta: dict[str, Any] = field(default_factory=dict)
    late: bool = False

    @property
    def key(self) -> bytes:
        return str(self.form).encode()


def encode(envelope: Envelope) -> tuple[bytes, Headers]:
    """The record's value and headers. Raises EnvelopeTooLargeError."""
    value = orjson.dumps(
        {
            "id": envelope.id,
            "organization": envelope.organization,
            "form": envelope.form,
            "version": envelope.version,
            "accepted_at": envelope.accepted_at.astimezone(UTC).isoformat(timespec="microseconds"),
            "late": envelope.late,
            "answers": envelope.answers,
            "meta": envelope.meta,
        }
    )
    if len(value) > MAX_ENVELOPE_BYTES:
        raise EnvelopeTooLargeError(f"{len(value)} bytes, at most {MAX_ENVELOPE_BYTES} fit")
    headers = (
        ("v", b"%d" % WIRE_VERSION),
        ("id", str(envelope.id).encode()),
        ("form", envelope.key),
        ("version", b"%d" % envelope.version),
    )
    return value, headers


def decode(value: bytes, headers: Iterable[tuple[str, bytes]]) -> Envelope:
    """Raises UnreadableRecordError."""
    version = dict(headers).get("v", b"")
    if version != b"%d" % WIRE_VERSION:
        raise UnreadableRecordError("unknown_version", f"wire version {version[:20]!r} is not known here")
    try:
        body = orjson.loads(value)
        return Envelope(
            id=UUID(body["id"]),
            organization=UUID(body["organization"]),
            form=UUID(body["form"]),
            version=_whole(body["version"]),
            accepted_at=_moment(body["accepted_at"]),
            late=bool(body["late"]),
            answers=_mapping(body["answers"]),
            meta=_mapping(body["meta"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Only the kind of trouble: the text of a parse error can hold answers.
        raise UnreadableRecordError("malformed", f"not an envelope ({type(error).__name__})") from None


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("an object was expected")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a whole number was expected")
    return value


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time without zone")
    return moment
