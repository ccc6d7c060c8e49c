"""What can be wrong with the settings of the intake, told before the first submission."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register

from apps.intake.throttle import parse_rate

RATES = ("INTAKE_PER_ADDRESS_AND_FORM", "INTAKE_PER_KEY", "INTAKE_PER_FORM", "INTAKE_PER_ORGANIZATION")
# A request may wait for Kafka, then for the outbox, and a little for Redis.
DOORS_SECONDS_MAX = 6.0


@register
def check_rates(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    return [
        checks.Error(f"{name} is no rate.", hint="Write it as 60/minute.", id="intake.E001")
        for name in RATES
        if not _readable(getattr(settings, name))
    ]


@register
def check_budget(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if settings.INTAKE_KAFKA_SECONDS + settings.INTAKE_OUTBOX_SECONDS <= DOORS_SECONDS_MAX:
        return []
    return [
        checks.Warning(
            f"INTAKE_KAFKA_SECONDS and INTAKE_OUTBOX_SECONDS are above {DOORS_SECONDS_MAX} together.",
            hint="An answer should come within 7 seconds, before gateways and browsers give up.",
            id="intake.W001",
        )
    ]


def _readable(rate: str) -> bool:
    try:
        parse_rate(rate)
    except ValueError:
        return False
    return True
