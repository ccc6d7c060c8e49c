"""How far each group has read the log: kept in Postgres, beside the work, and moved in the same transaction.

A group may move an offset only from where it believes it to be. If somebody else moved it meanwhile (a member that
was thought dead, a restored backup), nothing of the batch is kept and the group seeks again.
"""

from collections.abc import Mapping

from django.db import connection, transaction

from apps.archive.models import LogEpoch, StreamOffset


class OffsetMovedError(Exception):
    """The stored offset is not where this reader stood: roll back, and seek to what is stored."""


def epoch(topic: str, topic_id: str) -> int:
    """The number of the topic's present incarnation; one that is new is numbered after all before it."""
    known = _newest(topic, topic_id)
    return known if known is not None else _open(topic, topic_id)


def open_epoch(topic: str, topic_id: str) -> int:
    """A further epoch for a log that was set back: offsets are given out again, positions must still grow."""
    return _open(topic, topic_id)


def stored(group: str, topic_id: str) -> dict[int, int]:
    rows = StreamOffset.objects.filter(group=group, topic_id=topic_id)
    return dict(rows.values_list("partition", "next_offset"))


def place(group: str, topic: str, topic_id: str, epoch: int, offsets: Mapping[int, int]) -> None:
    """Put a group at these offsets, wherever it stood: for a first reading and after a log lost its tail or head."""
    StreamOffset.objects.bulk_create(
        [
            StreamOffset(
                group=group, topic=topic, topic_id=topic_id, epoch=epoch, partition=partition, next_offset=offset
            )
            for partition, offset in sorted(offsets.items())
        ],
        update_conflicts=True,
        unique_fields=["group", "topic_id", "partition"],
        update_fields=["epoch", "next_offset", "updated_at"],
    )


def advance(group: str, topic_id: str, spans: Mapping[int, tuple[int, int]]) -> None:
    """Move partitions from `first` to `next`, inside the caller's transaction. Raises OffsetMovedError."""
    if not spans:
        return
    partitions = sorted(spans)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE archive_streamoffset o SET next_offset = v.next, updated_at = now()
            FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS v(partition, first, next)
            WHERE o."group" = %s AND o.topic_id = %s AND o.partition = v.partition AND o.next_offset = v.first
            """,
            [
                partitions,
                [spans[partition][0] for partition in partitions],
                [spans[partition][1] for partition in partitions],
                group,
                topic_id,
            ],
        )
        if cursor.rowcount != len(partitions):
            raise OffsetMovedError(f"{group}: {len(partitions) - cursor.rowcount} partition(s) were moved by another")


def _newest(topic: str, topic_id: str) -> int | None:
    rows = LogEpoch.objects.filter(topic=topic, topic_id=topic_id).order_by("-epoch")
    return rows.values_list("epoch", flat=True).first()


def _open(topic: str, topic_id: str) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        # Two consumers may meet a new topic at once: the second finds what the first has written.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"epoch:{topic}"])
        newest = LogEpoch.objects.filter(topic=topic).order_by("-epoch").first()
        if newest is not None and newest.topic_id == topic_id and not _read_in(newest):
            return newest.epoch
        number = newest.epoch + 1 if newest else 0
        LogEpoch.objects.create(topic=topic, topic_id=topic_id, epoch=number)
        return number


def _read_in(newest: LogEpoch) -> bool:
    return StreamOffset.objects.filter(topic_id=newest.topic_id, epoch=newest.epoch).exists()
