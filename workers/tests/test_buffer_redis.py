import pytest
from django.conf import LazySettings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.sinks.tests.kinds import Shelf
from deploy.local.valkey import Valkey
from workers.buffer.base import Buffer, BufferUnavailableError, Limits
from workers.buffer.redis import ENTRY_BYTES, RedisBuffer
from workers.tests.buffer_suite import LIMITS, BufferSuite, group
from workers.tests.conftest import Cast, ids
from workers.tests.test_routing import feed, router

pytestmark = pytest.mark.services


@pytest.fixture
def client(valkey_service: Valkey, settings: LazySettings) -> "Redis":
    client = Redis.from_url(settings.REDIS_BUFFER_URL)
    client.flushdb()
    return client


class TestRedisBuffer(BufferSuite):
    @pytest.fixture
    def buffer(self, client: "Redis") -> Buffer:
        return RedisBuffer(client, LIMITS)

    @pytest.fixture
    def roomy(self, client: "Redis") -> Buffer:
        return RedisBuffer(client, Limits(20_000, 40_000))


def test_a_server_that_is_away_is_told_by_one_error() -> None:
    buffer = RedisBuffer(Redis(port=9, retry=Retry(NoBackoff(), 0)), LIMITS)

    with pytest.raises(BufferUnavailableError):
        buffer.append([group([1])], 0)


def test_a_cap_in_bytes_can_be_kept_by_counting(client: "Redis") -> None:
    buffer = RedisBuffer(client, Limits(20_000, 20_000))
    before = client.info("memory")["used_memory"]

    buffer.append([group(list(range(20_000)))], 0)

    assert client.info("memory")["used_memory"] - before < 20_000 * ENTRY_BYTES


@pytest.mark.django_db(transaction=True)
def test_a_buffer_that_was_flushed_loses_nothing_and_keeps_the_order(cast: Cast, client: "Redis") -> None:
    cast.buffer = RedisBuffer(client, Limits(1000, 1000))
    action = cast.action()
    route = router(cast)
    rows = feed(cast, route, 14)
    client.flushall()
    rows += feed(cast, route, 6)

    cast.flush(action)
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)
    assert cast.buffer.total() == 0
