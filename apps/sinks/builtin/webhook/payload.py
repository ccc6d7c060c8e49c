"""What a receiver gets. The shape of a version is frozen: members may be added, nothing else changes.

Version 1, one submission:

    {"type": "submission.created", "version": 1, "timestamp": when it was accepted, "data": submission}

several in one request:

    {"type": "submissions.created", "version": 1, "timestamp": when the last was accepted, "data": [submission, ...]}

a submission, and a thin one:

    {"id", "form": {"id", "title"}, "form_version", "accepted_at", "position", "link", "answers": {field key: value}}
    {"id", "form": {"id"}, "link"}

the test:

    {"type": "ping", "version": 1, "timestamp": now, "data": {}}
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from apps.sinks.contract import Part, Submission

VERSIONS = ("1",)


def of_one(part: Part, submission: Submission) -> bytes:
    return _event("submission.created", submission.accepted_at, _submission(part, submission))


def of_several(part: Part, submissions: Sequence[Submission]) -> bytes:
    data = [_submission(part, submission) for submission in submissions]
    return _event("submissions.created", max(submission.accepted_at for submission in submissions), data)


def ping(moment: datetime) -> bytes:
    return _event("ping", moment, {})


def _event(type: str, moment: datetime, data: Any) -> bytes:
    return orjson.dumps({"type": type, "version": 1, "timestamp": _said(moment), "data": data})


def _submission(part: Part, submission: Submission) -> dict[str, Any]:
    id, link = str(submission.id), part.link(submission)
    if part.config.get("thin"):
        return {"id": id, "form": {"id": str(part.form)}, "link": link}
    return {
        "id": id,
        "form": {"id": str(part.form), "title": part.form_title},
        "form_version": submission.version,
        "accepted_at": _said(submission.accepted_at),
        "position": submission.position,
        "link": link,
        "answers": submission.answers,
    }


def _said(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
