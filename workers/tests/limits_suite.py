"""What every limiter promises."""

import pytest

from apps.sinks.contract import Rate
from workers.limits import Charge, Limiter, RateLimitedError, spend_on_one

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

    def test_the_account_with_most_calls_left_is_taken(self, limiter: Limiter) -> None:
        first, second = [Charge("first", ACCOUNT.rate), PROJECT], [Charge("second", ACCOUNT.rate), PROJECT]

        taken = [spend_on_one(limiter, [first, second]) for _ in range(8)]

        assert (taken.count(0), taken.count(1)) == (4, 4)

    def test_where_one_account_has_no_call_left_another_is_taken(self, limiter: Limiter) -> None:
        first, second = [Charge("first", SLOW.rate)], [Charge("second", SLOW.rate)]
        limiter.drain(first, 2000)
        limiter.spend(second)

        with pytest.raises(RateLimitedError) as caught:
            spend_on_one(limiter, [first, second])

        assert caught.value.after == pytest.approx(1000, abs=1)

    def test_it_tells_how_much_is_used(self, limiter: Limiter) -> None:
        assert limiter.used([]) == limiter.used([SLOW]) == 0
        limiter.spend([SLOW])

        assert limiter.used([SLOW]) == pytest.approx(1, abs=0.001)
