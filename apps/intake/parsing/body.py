"""Reads a request's body, never more of it than the cap, and tells its encoding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, UnreadablePostError

from apps.intake.parsing.form_data import header_options, parse_multipart, parse_urlencoded
from apps.intake.parsing.strict_json import parse, refusal
from formhub.core.problem import Problem

JSON, NDJSON = "application/json", "application/x-ndjson"
URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
KINDS = (JSON, URLENCODED, MULTIPART)
_CHARSETS = {"", "utf-8", "utf8", "us-ascii"}


@dataclass(frozen=True, slots=True)
class Content:
    """What was sent. `from_form`: in an encoding of HTML forms, where every answer is text or a list of text."""

    values: dict[str, Any]
    from_form: bool


def read_content(request: HttpRequest, bytes_max: int) -> Content:
    """Raises Problem 400, 413, 415; 422 for a file."""
    kind, options = content_type(request, KINDS)
    body = read_bytes(request, bytes_max)
    if kind == JSON:
        return Content(parse(body), from_form=False)
    if kind == URLENCODED:
        return Content(parse_urlencoded(body), from_form=True)
    return Content(parse_multipart(body, options.get("boundary", "")), from_form=True)


def content_type(request: HttpRequest, kinds: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The body's kind with its options. Raises Problem 415 for one that is not among `kinds`."""
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding.strip().lower() not in {"", "identity"}:
        raise _unsupported("Compressed bodies are not taken; send the body as it is.")
    raw = request.META.get("CONTENT_TYPE", "")
    # What nearly everybody sends, without the work of taking it apart.
    if raw == JSON and JSON in kinds:
        return raw, {}
    kind, options = header_options(raw)
    if kind not in kinds:
        raise _unsupported(f"Send {', '.join(kinds[:-1])} or {kinds[-1]}.")
    if options.get("charset", "").lower() not in _CHARSETS:
        raise _unsupported("Send the body in UTF-8.")
    return kind, options


def read_bytes(request: HttpRequest, bytes_max: int) -> bytes:
    """Raises Problem 400 for a body that was cut off, 413 above the cap."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdecimal() and int(declared[:20]) > bytes_max:
        raise too_large(bytes_max)
    try:
        body = _take(request, bytes_max + 1)
    except UnreadablePostError:
        raise refusal("body_cut_off", "The connection ended before the body did.") from None
    if len(body) > bytes_max:
        raise too_large(bytes_max)
    if declared.isdecimal() and len(body) < int(declared[:20]):
        raise refusal("body_cut_off", "The body is shorter than its Content-Length.")
    return body


def _take(request: HttpRequest, size: int) -> bytes:
    """A server may hand out a body in pieces."""
    body: bytes = request.read(size)
    while len(body) < size and (piece := request.read(size - len(body))):
        body += piece
    return body


def too_large(bytes_max: int) -> Problem:
    return Problem(413, "body_too_large", f"A body may have {bytes_max} bytes.", limit=bytes_max)


def _unsupported(detail: str) -> Problem:
    return Problem(415, "unsupported_media_type", detail)
