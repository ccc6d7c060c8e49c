"""The permanent record of what was accepted, and how far each reader of the log has come."""

from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Submission(models.Model):
    """One submission. The table is hash-partitioned by form, with the key (form, id): migration 0001 makes it.

    `id` is the model's key because the admin can register no composite one; rows are always looked up by form and id.
    """

    organization = models.ForeignKey("orgs.Organization", models.DO_NOTHING, db_constraint=False, related_name="+")
    form = models.ForeignKey("forms.Form", models.DO_NOTHING, db_constraint=False, related_name="+")
    id = models.UUIDField(primary_key=True)
    version = models.IntegerField(_("version"))
    position = models.BigIntegerField(_("position"))
    accepted_at = models.DateTimeField(_("accepted"))
    archived_at = models.DateTimeField(_("archived"))
    late = models.BooleanField(_("late"), default=False)
    answers = models.JSONField(_("answers"))
    meta = models.JSONField(default=dict)

    class Meta:
        managed = False
        db_table = "archive_submission"
        verbose_name = _("submission")
        verbose_name_plural = _("submissions")

    def __str__(self) -> str:
        return str(self.id)


class Tombstone(models.Model):
    """An erased submission: whatever is read again or restored, it never comes back.

    journaled_at: it stands outside the database too. finished_at: nothing is left anywhere that could still be cleared.
    """

    form_id = models.UUIDField()
    submission_id = models.UUIDField()
    created_at = models.DateTimeField(auto_now_add=True)
    journaled_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["form_id", "submission_id"], name="archive_tombstone_once")]
        indexes = [
            models.Index(fields=["id"], name="archive_tombstone_unwritten", condition=models.Q(journaled_at=None)),
            models.Index(fields=["id"], name="archive_tombstone_open", condition=models.Q(finished_at=None)),
        ]

    def __str__(self) -> str:
        return str(self.submission_id)


class FormTombstone(models.Model):
    """A deleted form: one row instead of a million keeps all of its submissions from coming back.

    submissions: how many the archive held then. erased: how many of them are gone by now. The times as a Tombstone's.
    """

    form_id = models.UUIDField(primary_key=True)
    submissions = models.BigIntegerField(default=0)
    erased = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    journaled_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["created_at"], name="archive_formtombstone_open", condition=models.Q(finished_at=None))
        ]

    def __str__(self) -> str:
        return str(self.form_id)


class Result(models.Model):
    """What a processor noted of a submission. The key is the promise: one result of each stream.

    `position`: its place in the stream, not the submission's own.
    """

    pk: Any = models.CompositePrimaryKey("form_id", "submission_id", "stream")
    organization_id = models.UUIDField()
    form_id = models.UUIDField()
    submission_id = models.UUIDField()
    stream = models.CharField(max_length=50)
    position = models.BigIntegerField()
    body = models.JSONField()
    archived_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["form_id", "stream", "position"], name="archive_result_order")]

    def __str__(self) -> str:
        return f"{self.stream} of {self.submission_id}"


class UnreadRecord(models.Model):
    """A record of the log that is no submission we can read or hold, kept as it came so that it can be read again."""

    topic = models.CharField(_("topic"), max_length=249)
    topic_id = models.CharField(max_length=40)
    partition = models.IntegerField(_("partition"))
    offset = models.BigIntegerField(_("offset"))
    key = models.BinaryField(null=True)
    value = models.BinaryField()
    headers = models.JSONField(default=list)
    code = models.CharField(_("code"), max_length=50)
    reason = models.CharField(_("reason"), max_length=500)
    created_at = models.DateTimeField(_("kept since"), auto_now_add=True)

    class Meta:
        verbose_name = _("unreadable record")
        verbose_name_plural = _("unreadable records")
        constraints = [
            models.UniqueConstraint(fields=["topic_id", "partition", "offset"], name="archive_unread_once"),
        ]

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class LogEpoch(models.Model):
    """Numbers the incarnations of a topic: positions of a later one come after all of an earlier one."""

    topic = models.CharField(max_length=249)
    topic_id = models.CharField(max_length=40)
    epoch = models.IntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["topic", "epoch"], name="archive_epoch_once"),
        ]
        indexes = [models.Index(fields=["topic", "topic_id", "-epoch"], name="archive_epoch_newest")]

    def __str__(self) -> str:
        return f"{self.topic} {self.epoch}"


class StreamOffset(models.Model):
    """The next offset a group will read of a partition. It moves in the transaction that does the group's work."""

    group = models.CharField(max_length=100)
    topic = models.CharField(max_length=249)
    topic_id = models.CharField(max_length=40)
    epoch = models.IntegerField(default=0)
    partition = models.IntegerField()
    next_offset = models.BigIntegerField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["group", "topic_id", "partition"], name="archive_offset_once"),
        ]

    def __str__(self) -> str:
        return f"{self.group} {self.topic}/{self.partition}: {self.next_offset}"


class FormCounter(models.Model):
    """How many submissions of a form the archive holds, so that nobody has to count them."""

    form_id = models.UUIDField(primary_key=True)
    count = models.BigIntegerField(default=0)
    last_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.form_id}: {self.count}"
