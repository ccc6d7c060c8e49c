"""The second door, for submissions while the log takes none: `apps.intake.outbox` reads and writes it."""

from django.db import models
from django.db.models.functions import Now


class OutboxRow(models.Model):
    """A record on its way into the log, as it will lie there; the row goes with the broker's receipt.

    Its columns are only added to: a web server of the last release goes on writing during an upgrade. refused: why the
    log can never take it; such a row is left alone until somebody asks for another try.
    """

    id = models.UUIDField(primary_key=True)
    form_id = models.UUIDField()
    partition = models.IntegerField()
    value = models.BinaryField()
    headers = models.JSONField()
    size = models.IntegerField()
    accepted_at = models.DateTimeField()
    made_at = models.DateTimeField(db_default=Now())
    refused = models.CharField(max_length=200, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["partition", "accepted_at", "id"], name="intake_outbox_order", condition=models.Q(refused="")
            ),
            models.Index(fields=["id"], name="intake_outbox_refused", condition=~models.Q(refused="")),
        ]

    def __str__(self) -> str:
        return str(self.id)


class OutboxSize(models.Model):
    """How full the outbox is: one row, changed by every transaction that adds or takes away, so that nobody counts."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    rows = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.bytes} bytes"
