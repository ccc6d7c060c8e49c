import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from formhub.core.clock import ManualClock
from workers.limits import LOCAL_SHARE, LocalLimiter, RateLimitedError, RedisLimiter
from workers.tests.limits_suite import ACCOUNT, SLOW, LimiterSuite, spend_all


class TestLocalLimiter(LimiterSuite):
    @pytest.fixture
    def limiter(self) -> LocalLimiter:
        return LocalLimiter(ManualClock())


def test_no_minute_sees_more_calls_than_a_quarter_above_the_rate() -> None:
    clock = ManualClock()
    limiter = LocalLimiter(clock)
    calls = 0
    for _ in range(600):
        calls += spend_all(limiter, ACCOUNT)
        clock.advance(0.1)

    assert 48 <= calls <= 60


def test_without_redis_each_worker_takes_a_part_of_the_rate() -> None:
    clock = ManualClock()
    limiter = RedisLimiter(Redis(port=9, retry=Retry(NoBackoff(), 0)), LocalLimiter(clock, LOCAL_SHARE))

    limiter.spend([SLOW])
    clock.advance(3999)
    with pytest.raises(RateLimitedError):
        limiter.spend([SLOW])
    clock.advance(1)
    limiter.spend([SLOW])
