"""Submissions, and records that could not be read, in the admin: looked at, never changed."""

from apps.archive.admin.submission import SubmissionAdmin
from apps.archive.admin.unread import UnreadRecordAdmin

__all__ = ["SubmissionAdmin", "UnreadRecordAdmin"]
