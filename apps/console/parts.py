"""Which parts of the installation's processes give signs of life, wherever they run."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.console.words import duration
from formhub.core import presence
from formhub.core.presence import SILENT_SECONDS, Seen

# What every installation needs, and what does not happen without it.
NEEDED = {
    "web": (gettext_noop("Web server"), gettext_noop("Nothing is accepted.")),
    "archive": (gettext_noop("Reader for the archive"), gettext_noop("Nothing is archived or delivered.")),
    "deliver": (gettext_noop("Reader for deliveries"), gettext_noop("Deliveries wait for the next sweep.")),
    "beat": (gettext_noop("Clock (beat)"), gettext_noop("Nobody asks what is due.")),
    "tick": (gettext_noop("Worker that looks what is due"), gettext_noop("Nothing is delivered.")),
}


@dataclass(frozen=True, slots=True)
class Part:
    """`processes` that are alive; else `seconds` since the last sign of one, None if there never was any."""

    name: str
    label: str
    processes: int
    seconds: float | None
    needed: bool

    @property
    def state(self) -> str:
        if self.processes:
            return "good"
        return "bad" if self.needed else "wait"

    @property
    def consequence(self) -> str:
        """What does not happen without it."""
        return _(NEEDED[self.name][1]) if self.needed else ""

    @property
    def silence(self) -> str:
        return "" if self.seconds is None else duration(self.seconds)


def parts() -> list[Part]:
    """Those that are needed, then whatever else was heard of in the last day. Raises redis.RedisError."""
    seen: dict[str, list[Seen]] = {name: [] for name in NEEDED}
    for one in presence.seen():
        seen.setdefault(one.name, []).append(one)
    return [_part(name, found) for name, found in seen.items()]


def _part(name: str, found: list[Seen]) -> Part:
    return Part(
        name=name,
        label=_label(name),
        processes=sum(one.seconds <= SILENT_SECONDS for one in found),
        seconds=min((one.seconds for one in found), default=None),
        needed=name in NEEDED,
    )


def _label(name: str) -> str:
    if name in NEEDED:
        return _(NEEDED[name][0])
    # The loops of processors are named by their groups.
    words = _("Reader “%(name)s”") if "." in name else _("Celery worker “%(name)s”")
    return words % {"name": name}
