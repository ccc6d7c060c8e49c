"""The two encodings of an HTML form. A name that stands several times becomes a list; text is UTF-8 without NUL.

`multipart/form-data` follows RFC 7578. Files are not taken here: a part that carries one is refused by name, an
empty file input counts as not answered.
"""

import re
from typing import Any
from urllib.parse import parse_qsl

from apps.intake.parsing.strict_json import MAX_KEYS, MAX_KEYS_IN_ALL, refusal
from formhub.core.problem import Problem

_PART_HEADERS_MAX = 2_048
_OPTION = re.compile(r';\s*([A-Za-z*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')


def header_options(line: str) -> tuple[str, dict[str, str]]:
    """`multipart/form-data; boundary="x"` as its value and options, names in lower case."""
    kind, _, _ = line.partition(";")
    options = {name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in _OPTION.findall(line)}
    return kind.strip().lower(), options


def parse_urlencoded(body: bytes) -> dict[str, Any]:
    """Raises Problem 400."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_KEYS_IN_ALL)
    except UnicodeDecodeError:
        raise refusal("not_utf8", "The body is not valid percent-encoded UTF-8.") from None
    except ValueError:
        raise _too_many() from None
    return _collect(pairs)


def parse_multipart(body: bytes, boundary: str) -> dict[str, Any]:
    """Raises Problem 400; 422 for a part that carries a file."""
    if not boundary or len(boundary) > 200 or not boundary.isascii():
        raise refusal("malformed_multipart", "The Content-Type of a multipart body must name its boundary.")
    # The first delimiter has no line break of its own.
    _preamble, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if not parts or not parts[-1].startswith(b"--"):
        raise refusal("malformed_multipart", "The multipart body does not end with its boundary.")
    if len(parts) > MAX_KEYS_IN_ALL:
        raise _too_many()
    return _collect([pair for part in parts[:-1] if (pair := _part(part))])


def _part(part: bytes) -> tuple[str, str] | None:
    head, gap, content = part.partition(b"\r\n\r\n")
    disposition, options = _disposition(head)
    name = options.get("name", "")
    if not gap or disposition != "form-data" or not name:
        raise refusal("malformed_multipart", "Each part must be form-data with a name.")
    if options.keys() & {"filename", "filename*"}:
        if content or any(options.get(option) for option in ("filename", "filename*")):
            raise _file(name)
        return None
    try:
        return name, content.decode()
    except UnicodeDecodeError:
        raise refusal("not_utf8", "The body is not valid UTF-8.") from None


def _disposition(head: bytes) -> tuple[str, dict[str, str]]:
    if len(head) > _PART_HEADERS_MAX:
        raise refusal("malformed_multipart", f"The headers of a part may have {_PART_HEADERS_MAX} bytes.")
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        raise refusal("not_utf8", "The headers of a part are not valid UTF-8.") from None
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            return header_options(value)
    return "", {}


def _file(name: str) -> Problem:
    error = {
        "field": name,
        "code": "file_not_taken",
        "message": "Files cannot be sent with a submission.",
        "params": {},
    }
    return Problem(422, "invalid", "Send the answers without files.", errors=[error])


def _collect(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for name, value in pairs:
        if "\0" in value or "\0" in name:
            raise refusal("nul_character", "Text may not hold the NUL character.")
        held = answers.setdefault(name, value)
        if isinstance(held, list):
            held.append(value)
        elif held is not value:
            answers[name] = [held, value]
    if len(answers) > MAX_KEYS:
        raise _too_many()
    return answers


def _too_many() -> Problem:
    return refusal("too_many_keys", f"A form may have {MAX_KEYS} names, {MAX_KEYS_IN_ALL} with repetitions.")
