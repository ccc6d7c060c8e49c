"""The wish to end: Ctrl-C, SIGTERM, or a closed terminal."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopAsked(Exception):  # noqa: N818 - a wish, not an error
    """Somebody asked the demo to end."""


class Wish:
    """A signal only notes it; it is looked at where that is safe."""

    def __init__(self) -> None:
        self.asked = False
        self._interrupting = False
        for number in SIGNALS:
            # `nohup` means that the terminal may go; a SIGINT that is ignored only means a shell's background.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note)

    def check(self) -> None:
        """Raises StopAsked."""
        if self.asked:
            raise StopAsked

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Around what takes its time and cannot look: here the wish breaks in, and StopAsked is raised."""
        self.check()
        self._interrupting = True
        try:
            yield
        finally:
            self._interrupting = False
            # What was interrupted may have failed for that reason alone: a download ends with the same Ctrl-C.
            self.check()

    def _note(self, number: int, frame: object) -> None:
        self.asked = True
        if self._interrupting:
            self._interrupting = False  # once: whatever cleans up is left alone
            raise StopAsked
