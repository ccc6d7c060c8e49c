"""Reads a request's body, never more of it than the cap, and tells its encoding."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, UnreadablePostError

from apps.intake.parsing.form_data import header_options, parse_multipart, parse_urlencoded
from apps.intake.parsing.strict_json import parse, refusal
from formhub.core.problem import Problem

_CHARSETS = {"", "utf-8", "utf8", "us-ascii"}


@dataclass(frozen=True, slots=True)
class Content:
    """What was sent. `from_form`: in an encoding of HTML forms, where every answer is text or a list of text."""

    values: dict[str, Any]
    from_form: bool


def read_content(request: HttpRequest, bytes_max: int) -> Content:
    """Raises Problem 400, 413, 415; 422 for a file."""
    kind, options = _content_type(request)
    body = _read(request, bytes_max)
    if kind == "application/json":
        return Content(parse(body), from_form=False)
    if kind == "application/x-www-form-urlencoded":
        return Content(parse_urlencoded(body), from_form=True)
    return Content(parse_multipart(body, options.get("boundary", "")), from_form=True)


def _content_type(request: HttpRequest) -> tuple[str, dict[str, str]]:
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding.strip().lower() not in {"", "identity"}:
        raise _unsupported("Compressed bodies are not taken; send the body as it is.")
    raw = request.META.get("CONTENT_TYPE", "")
    # What nearly everybody sends, without the work of taking it apart.
    if raw == "application/json":
        return raw, {}
    kind, options = header_options(raw)
    if kind not in {"application/json", "application/x-www-form-urlencoded", "multipart/form-data"}:
        raise _unsupported("Send application/json, application/x-www-form-urlencoded or multipart/form-data.")
    if options.get("charset", "").lower() not in _CHARSETS:
        raise _unsupported("Send the body in UTF-8.")
    return kind, options


def _read(request: HttpRequest, bytes_max: int) -> bytes:
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdecimal() and int(declared[:20]) > bytes_max:
        raise _too_large(bytes_max)
    try:
        body = _take(request, bytes_max + 1)
    except UnreadablePostError:
        raise refusal("body_cut_off", "The connection ended before the body did.") from None
    if len(body) > bytes_max:
        raise _too_large(bytes_max)
    if declared.isdecimal() and len(body) < int(declared[:20]):
        raise refusal("body_cut_off", "The body is shorter than its Content-Length.")
    return body


def _take(request: HttpRequest, size: int) -> bytes:
    """A server may hand out a body in pieces."""
    body: bytes = request.read(size)
    while len(body) < size and (piece := request.read(size - len(body))):
        body += piece
    return body


def _too_large(bytes_max: int) -> Problem:
    return Problem(413, "body_too_large", f"A body may have {bytes_max} bytes.", limit=bytes_max)


def _unsupported(detail: str) -> Problem:
    return Problem(415, "unsupported_media_type", detail)
