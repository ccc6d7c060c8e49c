"""Read a part of the log once more: `manage.py rewind archive --by 1000`."""

from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from apps.archive import offsets
from apps.archive.offsets import OffsetMovedError
from formhub.core.stream.base import StreamError
from formhub.core.stream.kafka import TopicState, describe_topic, offsets_at
from workers import rewind
from workers.loops import known

TRIES = 5
SECONDS = 10.0


class Command(BaseCommand):
    help = "Set a group back in the log. Its readers go on from there within seconds; nothing comes twice of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("group", choices=sorted(known()))
        how = parser.add_mutually_exclusive_group(required=True)
        how.add_argument("--by", type=int, metavar="N", help="so many records in each partition")
        how.add_argument("--to-start", action="store_true", help="to the first record that the log still holds")
        how.add_argument("--to-time", metavar="TIME", help="to the first record of that time on (2026-11-24T09:30Z)")
        parser.add_argument("--partition", type=int, action="append", help="only this one (repeatable)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["by"] is not None and options["by"] < 1:
            raise CommandError("--by needs a number from 1 on.")
        moment = _moment(options["to_time"]) if options["to_time"] else None
        topic = known()[options["group"]].topic
        for left in reversed(range(TRIES)):
            try:
                state = describe_topic(settings.KAFKA_BOOTSTRAP_SERVERS, topic, SECONDS)
                wanted = self._wanted(options, state, moment)
                moves = rewind.rewind(options["group"], topic, state, wanted)
                break
            except (StreamError, rewind.NeverReadError) as error:
                raise CommandError(str(error)) from error
            except OffsetMovedError as error:
                if not left:
                    raise CommandError("Its readers move too fast: stop them, and try again.") from error
        for move in moves:
            said = f"partition {move.partition}: from {move.stood:,} to {move.stands:,}, {move.records:,} records again"
            self.stdout.write(f"{said}; {move.gone:,} have left the log" if move.gone else said)

    def _wanted(self, options: Mapping[str, Any], state: TopicState, moment: datetime | None) -> dict[int, int]:
        if moment is not None:
            found = offsets_at(settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, moment, SECONDS)
        elif options["to_start"]:
            found = {partition: start for partition, (start, _) in state.bounds.items()}
        else:
            found = rewind.by(offsets.stored(options["group"], state.id), options["by"])
        chosen = options["partition"]
        return {partition: offset for partition, offset in found.items() if not chosen or partition in chosen}


def _moment(text: str) -> datetime:
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"{text!r} is no time: write 2026-11-24T09:30Z.")
    return make_aware(found) if is_naive(found) else found
