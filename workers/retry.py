"""When a batch is offered again."""

import random

from apps.sinks.contract import Policy

LONGEST = 64.0
HOUR = 3600.0
UNEXPECTED_TRIES = 3
UNSURE_TRIES = 10


def delay(policy: Policy, attempts: int, after: float | None = None) -> float | None:
    """Seconds after the given number of failed attempts; None: that was the last one.

    Doubling is jittered in full, so that destinations that failed together do not come back together. `after`, what
    the service asked for, is the least.
    """
    if policy.retry_seconds:
        if attempts > len(policy.retry_seconds):
            return None
        wait = policy.retry_seconds[max(0, attempts - 1)] * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, no secret
    else:
        wait = random.uniform(0, min(LONGEST, 2.0 ** min(max(0, attempts - 1), 10)))  # noqa: S311 - spreads load, no secret
    return max(wait, min(after or 0.0, HOUR), 0.05)
