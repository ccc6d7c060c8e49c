from typing import Any

from apps.intake.checks import check_budget, check_rates


def test_the_settings_as_they_come_are_fine() -> None:
    assert check_rates(None) == check_budget(None) == []


def test_an_unreadable_rate_is_named(settings: Any) -> None:
    settings.INTAKE_PER_KEY = "often"
    assert [(found.id, found.msg) for found in check_rates(None)] == [("intake.E001", "INTAKE_PER_KEY is no rate.")]


def test_a_wait_beyond_the_gateways_patience_is_warned_of(settings: Any) -> None:
    settings.INTAKE_KAFKA_SECONDS = 9
    assert [found.id for found in check_budget(None)] == ["intake.W001"]
