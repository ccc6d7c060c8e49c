import pytest
from django.conf import LazySettings
from redis import Redis

from deploy.local.valkey import Valkey
from formhub.core.clock import ManualClock
from workers.limits import LocalLimiter, RedisLimiter
from workers.tests.limits_suite import ACCOUNT, LimiterSuite, spend_all

pytestmark = pytest.mark.services


@pytest.fixture
def client(valkey_service: Valkey, settings: LazySettings) -> "Redis":
    client = Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    return client


class TestRedisLimiter(LimiterSuite):
    @pytest.fixture
    def limiter(self, client: "Redis") -> RedisLimiter:
        return RedisLimiter(client, LocalLimiter(ManualClock()))


def test_all_workers_draw_on_the_same_buckets(client: "Redis") -> None:
    one, other = (RedisLimiter(client, LocalLimiter(ManualClock())) for _ in range(2))

    assert spend_all(one, ACCOUNT) + spend_all(other, ACCOUNT) in {9, 10}
