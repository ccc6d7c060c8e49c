"""Whatever is sent within the OpenAPI document, or somewhat beside it: no 5xx, and no answer that it does not describe.

Against the WSGI application, with a real database, Kafka and Valkey. Bounded and seeded: every run sends the same.
"""

import json
import zlib
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from apps.forms import published
from apps.intake import process
from apps.intake.commit import Bounds, Committer
from apps.intake.gate.gate import Gate
from apps.intake.gate.redis import RedisStore
from apps.orgs import keys
from deploy.local.kafka import Kafka
from deploy.local.valkey import Valkey
from formhub.core.stream.kafka import KafkaPublisher, TopicSettings, ensure_topic
from tests.api_world import World, a_world
from tests.test_api_rights import an_account, an_outcome

pytestmark = [pytest.mark.services, pytest.mark.django_db]
EXAMPLES = 5
PARTITIONS = 6
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: Any, value: Any) -> bytes:
    """A line for each submission; what is no list is sent as it is."""
    lines = value if isinstance(value, list) else [value]
    return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def submit(kafka_service: Kafka, valkey_service: Valkey) -> Iterator[None]:
    """The process's own committer and gate, with a topic of this module's."""
    name = f"submissions-{uuid4().hex}"
    ensure_topic([kafka_service.url], name, TopicSettings(PARTITIONS, 1, 1, 1), seconds=60)
    committer = Committer(KafkaPublisher([kafka_service.url], name, PARTITIONS), Bounds(1000, 10_000_000, 5))
    gate = Gate(RedisStore(settings.REDIS_URL, 2.0, 3600))
    before = process.committer.install(committer), process.gate.install(gate)
    yield
    process.committer.install(before[0])
    process.gate.install(before[1])
    committer.close(5)


@pytest.fixture
def _one_connection() -> Iterator[None]:
    """As Django's own test client does it: the test's transaction outlives each request."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def world(submit: None, _one_connection: None, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("apps.sinks.builtin.google_sheets.config.own_accounts", lambda: (an_account(),))
    monkeypatch.setattr("apps.sinks.trial.test", lambda binding: an_outcome())
    monkeypatch.setattr(settings, "MANAGE_PER_KEY", "1000000/minute")
    monkeypatch.setattr(settings, "INTAKE_PER_KEY", "1000000/minute")
    return a_world()


@document.parametrize()
@hypothesis_settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_nothing_that_is_sent_is_answered_in_a_way_that_is_not_described(case: Any, world: World) -> None:
    published.clear()
    keys.clear_cache()
    aim(case, world)

    case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {world.names['token']}"})


def aim(case: Any, world: World) -> None:
    """Three of four requests are for what exists; the others for what was made up."""
    if zlib.crc32(repr((case.body, case.query, case.path_parameters)).encode()) % 4 == 0:
        return
    whole = {
        "form": world.names["form"],
        "number": 1,
        "id": next((world.names[name] for place, name in IDS.items() if place in case.path), None),
    }
    for name in case.path_parameters or {}:
        if whole.get(name) is not None:
            case.path_parameters[name] = whole[name]


IDS = {
    "/fields/": "field",
    "/actions/": "action",
    "/submissions/": "submission",
    "/deliveries/": "delivery",
    "/organizations/": "organization",
    "/invitations/": "invitation",
    "/memberships/": "membership",
    "/api-keys/": "api_key",
}
