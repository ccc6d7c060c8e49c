"""Actions attached to forms, the destinations they share, and the ledger of what reached where."""

from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from formhub.core.ids import uuid7


class Destination(models.Model):
    """What is leased and rate-limited together within an organization: a spreadsheet, an endpoint.

    `token` grows with every lease: whoever holds an older one can no longer write to the ledger. `sequence` is the
    number of the last batch made; none is used twice. Due at `next_attempt_at`, and not before; `queued_until`: a
    task was queued for it, nobody needs to queue another until then.
    """

    organization_id = models.UUIDField()
    kind = models.CharField(max_length=50)
    key = models.CharField(max_length=1000)
    token = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=100, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    sequence = models.BigIntegerField(default=0)
    state = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    queued_until = models.DateTimeField(null=True, blank=True)
    failures = models.IntegerField(default=0)
    last_error = models.TextField(blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "kind", "key"], name="sinks_destination_once"),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="sinks_destination_due",
                condition=models.Q(next_attempt_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.key[:80]}"


class BindingState(models.TextChoices):
    ON = "on", _("On")
    PAUSED = "paused", _("Paused")
    OFF = "off", _("Off")


class Binding(models.Model):
    """An action: one kind of sink with its settings on one form.

    It owes the submissions with `position > since` at whose position its revision was on and its condition held.
    Everything up to `settled_to` is in the ledger, parked or not owed. `owes_below` is set while it is off: nothing
    from that position on is owed. `behind_at`: from here on its buffer does not list everything that waits.
    `delivered` counts, because counting ten million items takes too long. `package`: what brought its kind when it was
    saved last, to be named where that is gone. `selection`: see apps.sinks.selection; null sends everything.
    """

    class PauseCode(models.TextChoices):
        """Why it is paused, where that ends by itself."""

        KIND_AWAY = "kind_away", _("Its kind cannot be used at present")

    organization = models.ForeignKey(
        "orgs.Organization", models.CASCADE, db_constraint=False, related_name="+", verbose_name=_("organization")
    )
    form = models.ForeignKey(
        "forms.Form", models.CASCADE, db_constraint=False, related_name="+", verbose_name=_("form")
    )
    destination = models.ForeignKey(Destination, models.PROTECT, related_name="bindings")
    kind = models.CharField(_("kind"), max_length=50)
    package = models.CharField(max_length=300, blank=True, default="", db_default="")
    name = models.CharField(_("name"), max_length=200)
    config = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    secrets = models.TextField(blank=True)
    condition = models.JSONField(_("condition"), null=True, blank=True)
    selection = models.JSONField(_("fields"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=BindingState.choices, default=BindingState.ON)
    pause_reason = models.TextField(_("reason"), blank=True)
    pause_remedy = models.TextField(_("remedy"), blank=True)
    pause_code = models.CharField(max_length=20, choices=PauseCode.choices, blank=True, default="", db_default="")
    paused_at = models.DateTimeField(null=True, blank=True)
    since = models.BigIntegerField(default=-1)
    settled_to = models.BigIntegerField(default=-1)
    owes_below = models.BigIntegerField(null=True, blank=True)
    behind_at = models.BigIntegerField(null=True, blank=True)
    delivered = models.BigIntegerField(_("delivered"), default=0)
    delivered_at = models.DateTimeField(_("last delivered"), null=True, blank=True)
    flush_seconds = models.FloatField(_("deliver within (seconds)"), null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("action")
        verbose_name_plural = _("actions")
        indexes = [models.Index(fields=["updated_at"], name="sinks_binding_updated")]

    def __str__(self) -> str:
        return self.name


class BindingRevision(models.Model):
    """What holds for an action from a position on, until the next revision: on or off, and under which condition."""

    binding = models.ForeignKey(Binding, models.CASCADE, related_name="revisions")
    from_position = models.BigIntegerField()
    on = models.BooleanField(default=True)
    condition = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["from_position", "id"]
        indexes = [models.Index(fields=["binding", "from_position", "id"], name="sinks_revision_position")]

    def __str__(self) -> str:
        return f"{self.binding_id} from {self.from_position}: {'on' if self.on else 'off'}"


class BatchState(models.TextChoices):
    PENDING = "pending", _("Waiting")
    SENDING = "sending", _("Sending")
    AMBIGUOUS = "ambiguous", _("Outcome not known yet")
    DELIVERED = "delivered", _("Delivered")
    REFUSED = "refused", _("Refused")


UNFINISHED = (BatchState.PENDING, BatchState.SENDING, BatchState.AMBIGUOUS)


class Batch(models.Model):
    """What one call delivers. Its items never change once it was offered: other items are another batch.

    `turn`: unfinished batches are offered in its order; what a batch was divided into takes its place.
    `settings`: those of actions that moved to another destination meanwhile, by id.
    `body`: bytes that the sink kept for an identical repeat. `after`: the batch that was split off before this one;
    when that one was delivered, the submission that is refused stands in this one.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization_id = models.UUIDField()
    destination = models.ForeignKey(Destination, models.CASCADE, related_name="batches")
    sequence = models.BigIntegerField()
    turn = models.CharField(max_length=200, db_collation="C")
    state = models.CharField(_("state"), max_length=10, choices=BatchState.choices, default=BatchState.PENDING)
    late = models.BooleanField(default=False)
    account = models.CharField(max_length=200, blank=True)
    settings = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    body = models.BinaryField(null=True, blank=True)
    size = models.IntegerField(_("submissions"), default=0)
    attempts = models.IntegerField(_("attempts"), default=0)
    tries = models.JSONField(default=list, blank=True)
    code = models.CharField(max_length=100, blank=True)
    last_error = models.TextField(_("last error"), blank=True)
    after = models.UUIDField(null=True, blank=True)
    ambiguous_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    offered_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [
            models.UniqueConstraint(fields=["destination", "sequence"], name="sinks_batch_sequence"),
        ]
        indexes = [
            models.Index(
                fields=["destination", "turn"],
                name="sinks_batch_unfinished",
                condition=models.Q(state__in=["pending", "sending", "ambiguous"]),
            ),
            models.Index(fields=["organization_id", "state", "-created_at"], name="sinks_batch_listed"),
            models.Index(fields=["organization_id", "-created_at"], name="sinks_batch_newest"),
            models.Index(fields=["-created_at"], name="sinks_batch_newest_of_all"),
            # Ids grow with time: these give the deliveries of a destination newest first, and those in trouble alone.
            models.Index(fields=["destination", "id"], name="sinks_batch_of_destination"),
            models.Index(fields=["destination", "state", "id"], name="sinks_batch_in_state"),
            models.Index(fields=["destination", "code", "id"], name="sinks_batch_code", condition=~models.Q(code="")),
        ]

    def __str__(self) -> str:
        return f"{self.destination_id}/{self.sequence}"


class BatchItem(models.Model):
    """A submission at an action. The key is the promise: no submission is given to an action in two batches."""

    pk: Any = models.CompositePrimaryKey("binding_id", "submission_id")
    # No constraints: checking a thousand rows at commit would cost more than writing them.
    binding = models.ForeignKey(Binding, models.CASCADE, db_index=False, db_constraint=False, related_name="+")
    submission_id = models.UUIDField()
    batch = models.ForeignKey(Batch, models.CASCADE, db_constraint=False, related_name="items")
    position = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["binding", "position"], name="sinks_item_position")]

    def __str__(self) -> str:
        return f"{self.binding_id}/{self.submission_id}"


class FormerItem(models.Model):
    """A submission in a delivery that was made, before somebody asked to have it delivered once more.

    The ledger's item is the submission's present one, in one delivery at most; these are those before it.
    """

    pk: Any = models.CompositePrimaryKey("binding_id", "submission_id", "batch_id")
    binding = models.ForeignKey(Binding, models.CASCADE, db_index=False, db_constraint=False, related_name="+")
    submission_id = models.UUIDField()
    batch = models.ForeignKey(Batch, models.CASCADE, db_constraint=False, related_name="former_items")
    position = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.binding_id}/{self.submission_id} in {self.batch_id}"


class Parked(models.Model):
    """A submission that an action could not deliver, and why. `again`: somebody asked to try it once more."""

    organization_id = models.UUIDField()
    binding = models.ForeignKey(Binding, models.CASCADE, db_index=False, related_name="+")
    form_id = models.UUIDField()
    submission_id = models.UUIDField()
    position = models.BigIntegerField()
    batch_id = models.UUIDField(null=True, blank=True)
    code = models.CharField(_("code"), max_length=100)
    message = models.TextField(_("message"), blank=True)
    attempts = models.IntegerField(_("attempts"), default=0)
    again = models.BooleanField(_("will be tried again"), default=False)
    parked_at = models.DateTimeField(_("failed at"), auto_now_add=True)

    class Meta:
        verbose_name = _("failed submission")
        verbose_name_plural = _("failed submissions")
        constraints = [
            models.UniqueConstraint(fields=["binding", "submission_id"], name="sinks_parked_once"),
        ]
        indexes = [
            models.Index(fields=["organization_id", "-parked_at"], name="sinks_parked_newest"),
            models.Index(fields=["-parked_at"], name="sinks_parked_newest_of_all"),
            models.Index(fields=["binding", "-parked_at"], name="sinks_parked_listed"),
            models.Index(fields=["binding", "position"], name="sinks_parked_again", condition=models.Q(again=True)),
            models.Index(fields=["binding", "code", "-parked_at"], name="sinks_parked_code"),
            models.Index(fields=["binding"], name="sinks_parked_failed", condition=models.Q(again=False)),
        ]

    def __str__(self) -> str:
        return f"{self.binding_id}/{self.submission_id}: {self.code}"


class Tally(models.Model):
    """How many submissions an action delivered and failed to deliver in an hour, counted as it happens."""

    pk: Any = models.CompositePrimaryKey("binding_id", "hour")
    binding = models.ForeignKey(Binding, models.CASCADE, db_index=False, db_constraint=False, related_name="+")
    hour = models.DateTimeField()
    delivered = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.binding_id} at {self.hour}"


class Walk(models.Model):
    """An action's submissions gone through once more, from the archive, in order of position, as far as `until`.

    `check`: compare them with the ledger. `fill`: deliver what is owed and written down nowhere, in late batches that
    take turns with live ones. One of each per action at most. `cursor`: everything up to here was looked at, from
    `start` on, which it excludes. `found`: by a check, what was missing; by a fill, what it gave to deliveries.
    `missing`: what checks asked a fill to deliver.
    """

    class Purpose(models.TextChoices):
        CHECK = "check", _("Comparison")
        FILL = "fill", _("Back-fill")

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        PAUSED = "paused", _("Paused")
        DONE = "done", _("Done")

    binding = models.ForeignKey(Binding, models.CASCADE, db_index=False, related_name="walks")
    purpose = models.CharField(max_length=10, choices=Purpose.choices)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.RUNNING)
    start = models.BigIntegerField()
    cursor = models.BigIntegerField()
    until = models.BigIntegerField()
    examined = models.BigIntegerField(default=0)
    found = models.BigIntegerField(default=0)
    missing = models.BigIntegerField(default=0)
    begun_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["binding", "purpose"], name="sinks_walk_once")]
        indexes = [
            models.Index(
                fields=["purpose", "updated_at"], name="sinks_walk_running", condition=models.Q(state="running")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} of {self.binding_id}: {self.cursor} of {self.until}"

    @property
    def length(self) -> int:
        return self.until - self.start

    @property
    def passed(self) -> int:
        return self.cursor - self.start


class Notice(models.Model):
    """What the owners and admins of an organization are told by mail. The key is the promise: each occasion once.

    `occasion`: when the action was paused; the day on which something failed; the last success before an outage.
    """

    class Kind(models.TextChoices):
        PAUSED = "paused", _("The action was paused")
        FAILED = "failed", _("Submissions failed")
        FAILING = "failing", _("Deliveries fail for some time")

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        SENT = "sent", _("Sent")
        DROPPED = "dropped", _("Not sent")

    organization_id = models.UUIDField()
    binding = models.ForeignKey(Binding, models.CASCADE, db_index=False, related_name="notices")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    occasion = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    tries = models.IntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["binding", "kind", "occasion"], name="sinks_notice_once"),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="sinks_notice_due", condition=models.Q(state="waiting")),
            models.Index(fields=["organization_id", "sent_at"], name="sinks_notice_sent"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.binding_id}: {self.occasion}"


class Suppression(models.Model):
    """An address that no action of the organization sends a mail to. It is stored in small letters."""

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed", _("By the link in a mail")
        ENTERED = "entered", _("Entered by hand")

    organization = models.ForeignKey(
        "orgs.Organization", models.CASCADE, related_name="+", verbose_name=_("organization")
    )
    address = models.EmailField(_("e-mail address"), max_length=254)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason.choices, default=Reason.ENTERED)
    created_at = models.DateTimeField(_("since"), auto_now_add=True)

    class Meta:
        verbose_name = _("address not written to")
        verbose_name_plural = _("addresses not written to")
        constraints = [
            models.UniqueConstraint(fields=["organization", "address"], name="sinks_suppression_once"),
        ]
        indexes = [models.Index(fields=["organization", "-created_at"], name="sinks_suppression_newest")]

    def __str__(self) -> str:
        # Not the address: this text goes into the trail, which keeps what it is given.
        return f"{self._meta.verbose_name} {self.pk}"
