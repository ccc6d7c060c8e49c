"""Runs every check. One that cannot be carried out is a finding too."""

import logging
from collections.abc import Callable, Iterator, Sequence

from apps.console.doctor import buffers, database, erasures, installation, log, machine, work
from apps.console.doctor.verdict import AWAY, Check, Finding, Level, Section, bad

logger = logging.getLogger(__name__)
SECTIONS: Sequence[Callable[[], Section]] = (
    installation.section,
    database.section,
    buffers.buffer_section,
    buffers.cache_section,
    log.section,
    work.section,
    erasures.section,
    machine.section,
)


def findings() -> Iterator[Finding]:
    for make in SECTIONS:
        yield from examine(make())


def examine(section: Section) -> Iterator[Finding]:
    if section.first is not None:
        found = _look(section, *section.first)
        yield found
        if found.level is Level.BAD:
            return
    for name, check in section.checks:
        yield _look(section, name, check)


def _look(section: Section, name: str, check: Check) -> Finding:
    try:
        verdict = check()
    except AWAY as error:
        logger.debug("%s could not be asked", section.name, exc_info=True)
        verdict = bad(f"does not answer ({type(error).__name__})", section.away)
    except Exception as error:
        logger.debug("%s: %s could not be looked at", section.name, name, exc_info=True)
        verdict = bad(f"could not be looked at ({type(error).__name__})", "Set LOG_LEVEL=DEBUG to see where it fails.")
    return Finding(section.name, name, verdict.level, verdict.says, verdict.remedy)
