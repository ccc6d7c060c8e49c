"""A batch of the ledger as a sink gets it: settings opened, columns named, submissions read from the archive.

A kind sees of both only what its action was told to send, under the names it was told to send it.
"""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from apps.sinks import config, contract
from apps.sinks.models import Batch, Binding
from apps.sinks.selection import Selection
from formhub.core.secrets import SecretUnreadableError
from workers.rooms import Archive, Forms, Stored

Rows = Mapping[int, Sequence[Stored]]


def compose(batch: Batch, rows: Rows, forms: Forms, keep: Callable[[bytes], None]) -> contract.Batch:
    """The next offer of the batch. Raises ConfigurationError where a secret cannot be opened."""
    bindings = Binding.objects.in_bulk(list(rows))
    return contract.Batch(
        id=batch.pk,
        sequence=batch.sequence,
        destination=batch.destination.key,
        parts=tuple(_part(batch, bindings[key], rows[key], forms) for key in sorted(bindings) if rows[key]),
        attempt=batch.attempts + 1,
        ambiguous=batch.ambiguous_at,
        late=batch.late,
        account=batch.account,
        kept=None if batch.body is None else bytes(batch.body),
        keep=keep,
    )


def read(batch: Batch, archive: Archive) -> dict[int, list[Stored]]:
    """The submissions of a batch that was frozen before, by action; those erased since are left out."""
    forms: dict[int, UUID] = {}
    ids: dict[int, list[UUID]] = {}
    items = batch.items.order_by("binding_id", "position")
    for binding, form, submission in items.values_list("binding_id", "binding__form_id", "submission_id"):
        forms[binding] = form
        ids.setdefault(binding, []).append(submission)
    return {
        binding: sorted(archive.by_ids(forms[binding], wanted), key=lambda row: row.position)
        for binding, wanted in ids.items()
    }


def opened(binding: Binding, batch: Batch | None = None) -> config.Settings:
    """The action's settings; for a batch of a destination that it has left, those it had then."""
    former = batch.settings.get(str(binding.pk)) if batch else None
    public, token = (former["config"], former["secrets"]) if former else (binding.config, binding.secrets)
    try:
        return config.stored(public, token)
    except SecretUnreadableError as error:
        raise contract.ConfigurationError(
            str(error), remedy="Enter the action's secrets again.", part=binding.pk
        ) from error


def _part(batch: Batch, binding: Binding, rows: Sequence[Stored], forms: Forms) -> contract.Part:
    chosen = Selection.from_json(binding.selection)
    return contract.Part(
        binding=binding.pk,
        form=binding.form_id,
        form_title=forms.title(binding.form_id),
        config=opened(binding, batch).opened,
        layout=chosen.layout(forms.layout(binding.form_id)),
        submissions=tuple(_submission(row, chosen) for row in rows),
        pages=forms.pages(binding.form_id),
    )


def _submission(row: Stored, chosen: Selection) -> contract.Submission:
    return contract.Submission(
        id=row.id,
        form=row.form_id,
        version=row.version,
        position=row.position,
        accepted_at=row.accepted_at,
        answers=chosen.answers(row.answers),
        meta=row.meta,
        late=row.late,
    )
