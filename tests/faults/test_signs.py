"""Signs: what a scrape says of a fault, told from made-up scrapes."""

import pytest

from tests.faults.harness.signs import Sign, above, absent, below, late, nowhere, rises

REFUSED = "formhub_intake_refused_total"
STORED, BUSY = 'reason="not_stored"', 'reason="rate_limited"'


def scrape(**values: float) -> str:
    lines = [f"{REFUSED}{{{labels}}} {value}" for labels, value in values.items()]
    return "\n".join(["# TYPE formhub_intake_refused counter", *lines, "formhub_intake_pending 4.0"])


def test_a_counter_that_has_not_begun_is_0_and_one_of_a_process_that_does_not_answer_is_none() -> None:
    sign = rises(REFUSED, reason="not_stored")

    assert sign.value(scrape()) == 0
    assert sign.value(scrape(**{STORED: 3, BUSY: 5})) == 3
    assert sign.value("") is None


def test_a_sign_may_ask_for_either_of_two_labels() -> None:
    text = scrape(**{STORED: 3, BUSY: 5, 'reason="other"': 7})

    assert rises(REFUSED, reason="not_stored|rate_limited").value(text) == 8


def test_a_gauge_is_the_highest_of_its_series_and_none_where_there_is_none() -> None:
    lags = 'formhub_consumer_lag_seconds{partition="0"} 1.0\nformhub_consumer_lag_seconds{partition="1"} 70.0\n'

    assert above("formhub_consumer_lag_seconds", 60).value(lags) == 70
    assert above("formhub_consumer_lag_seconds", 60).value("formhub_consumer_lag_records 4.0\n") is None


@pytest.mark.parametrize(
    ("sign", "before", "now", "shows"),
    [
        pytest.param(rises(REFUSED), 3, 4, True, id="a counter that rose"),
        pytest.param(rises(REFUSED), 4, 4, False, id="a counter that did not"),
        pytest.param(rises(REFUSED), None, 2, True, id="a counter of a new process that has risen already"),
        pytest.param(rises(REFUSED), None, 0, False, id="a counter of a new process"),
        pytest.param(rises(REFUSED), 4, None, False, id="a counter of a process that is gone"),
        pytest.param(above("formhub_outbox_rows", 0), 0, 1, True, id="a gauge above its bound"),
        pytest.param(above("formhub_outbox_rows", 0), 1, 0, False, id="a gauge at its bound"),
        pytest.param(below("formhub_state_known", 1), 1, 0, True, id="a gauge below its bound"),
        pytest.param(below("formhub_state_known", 1), 1, None, False, id="a gauge that nobody tells"),
        pytest.param(late("formhub_beat_last_tick_timestamp_seconds", 30), 1.0, 1.0, True, id="a moment long ago"),
        pytest.param(late("formhub_beat_last_tick_timestamp_seconds", 30), 0, 0, False, id="a moment that never was"),
        pytest.param(late("formhub_beat_last_tick_timestamp_seconds", 30), 1.0, 9e9, False, id="a moment to come"),
        pytest.param(absent("formhub_processes", role="web"), 1, None, True, id="a process that does not answer"),
        pytest.param(absent("formhub_processes", role="web"), 1, 1, False, id="a process that does"),
    ],
)
def test_a_sign_shows(sign: Sign, before: float | None, now: float | None, shows: bool) -> None:
    assert sign.seen(before, now) is shows


def test_the_role_that_is_asked_is_the_one_that_exports_the_metric() -> None:
    assert rises(REFUSED).role == "web"
    assert absent("formhub_processes", role="beat").role == "beat"
    assert above("formhub_outbox_rows", 0).role == "worker"


def test_an_alert_has_to_ask_for_the_metric_that_shows_the_fault() -> None:
    with pytest.raises(AssertionError, match="does not ask for"):
        rises(REFUSED, "OutboxDepth")
    with pytest.raises(AssertionError, match="no metric of ours"):
        rises("formhub_made_up_total")


def test_a_fault_that_shows_nowhere_needs_a_reason() -> None:
    with pytest.raises(AssertionError, match="needs a reason"):
        nowhere("")
