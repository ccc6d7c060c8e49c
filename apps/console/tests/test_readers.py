"""Which readers of the log are looked after."""

import pytest

from apps.archive.tests.rows import a_form
from apps.console import readers
from apps.console.readers import lags
from apps.streams.models import Processing
from formhub.core.stream.base import StreamError
from formhub.core.stream.kafka import TopicState

pytestmark = [pytest.mark.services, pytest.mark.django_db]
EMPTY = TopicState("T", 1, 1, 1, 1, {0: (0, 0)})


def groups() -> dict[str, str]:
    return {lag.group: lag.state for lag in lags(EMPTY)}


@pytest.mark.parametrize("there", [True, False], ids=["the stream is there", "its topic was not made"])
def test_a_processors_groups_are_looked_after_once_a_form_has_it(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def describe(servers: object, topic: str, seconds: float) -> TopicState:
        if not there:
            raise StreamError("the topic is not there")
        return EMPTY

    monkeypatch.setattr(readers, "describe_topic", describe)
    processing = Processing.objects.create(form=a_form(), processor="content_analysis")

    assert groups() == dict.fromkeys(
        ("archive", "deliver", "process.content_analysis", "archive.content_analysis"), "bad"
    )

    processing.on = False
    processing.save()
    assert groups().keys() == {"archive", "deliver"}
