"""What every limiter promises."""

import pytest

from apps.sinks.contract import Rate
from workers.limits import Charge, Limiter, RateLimitedError

PROJECT = Charge("project", Rate("project", 240, 60))
ACCOUNT = Charge("account", Rate("account", 48, 60))
SLOW = Charge("slow", Rate("slow", 1, 1000))


def spend_all(limiter: Limiter, *charges: Charge) -> int:
    """How many calls go through at once."""
    for count in range(1000):
        try:
            limiter.spend(charges)
        except RateLimitedError:
            return count
    return 1000


class LimiterSuite:
    """A subclass gives the fixture `limiter`, all buckets full."""

    def test_a_bucket_holds_a_fifth_of_the_rate(self, limiter: Limiter) -> None:
        assert spend_all(limiter, ACCOUNT) in {9, 10}  # a real clock may run on meanwhile

    def test_an_empty_bucket_says_how_long_to_wait(self, limiter: Limiter) -> None:
        limiter.spend([SLOW])

        with pytest.raises(RateLimitedError) as caught:
            limiter.spend([SLOW])

        assert caught.value.after == pytest.approx(1000, abs=1)

    def test_the_tightest_rate_decides_and_takes_nothing_from_the_others(self, limiter: Limiter) -> None:
        assert spend_all(limiter, PROJECT, SLOW) == 1
        assert spend_all(limiter, PROJECT) in {46, 47, 48}

    def test_keys_are_counted_apart(self, limiter: Limiter) -> None:
        limiter.spend([SLOW])

        limiter.spend([Charge("another", SLOW.rate)])

    def test_a_call_that_was_not_made_can_be_given_back(self, limiter: Limiter) -> None:
        limiter.spend([SLOW])
        limiter.give_back([SLOW])

        limiter.spend([SLOW])

    def test_a_drained_bucket_gives_nothing(self, limiter: Limiter) -> None:
        limiter.drain([ACCOUNT], 30)

        with pytest.raises(RateLimitedError) as caught:
            limiter.spend([PROJECT, ACCOUNT])
        assert caught.value.after == pytest.approx(30, abs=1)

    def test_no_rate_no_limit(self, limiter: Limiter) -> None:
        assert spend_all(limiter) == 1000
