"""Keeps callers away from a service that just failed."""

from formhub.core.clock import Clock


class Breaker:
    """Closed until a failure; then open, and once every `seconds` one caller may find out whether it still fails."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self._clock = clock
        self._open_until: float | None = None

    @property
    def closed(self) -> bool:
        return self._open_until is None

    def ready(self) -> bool:
        """Whether a call may be made now; whoever then makes it says so by `begin`."""
        return self._open_until is None or self._clock.monotonic() >= self._open_until

    def begin(self) -> None:
        if self._open_until is not None:
            self._open_until = self._clock.monotonic() + self.seconds

    def fail(self) -> None:
        self._open_until = self._clock.monotonic() + self.seconds

    def succeed(self) -> None:
        self._open_until = None
