"""Who makes a call, and how the emulated service stands while it is made."""

from dataclasses import dataclass

from sheets_emulator.switches import DEFAULT, Switches


@dataclass(frozen=True, slots=True)
class Caller:
    email: str
    project: str
    switches: Switches = DEFAULT
