"""Keys on a real database, with a clock that moves when told to."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from django.db import DatabaseError, connection

from apps.orgs import keys
from apps.orgs.keys import FRESH_SECONDS, STALE_SECONDS, KeyCache, KeyGrant
from apps.orgs.models import ApiKey, Organization
from apps.orgs.tests.people import a_form, a_user, an_organization
from formhub.core.clock import ManualClock

pytestmark = [pytest.mark.services, pytest.mark.django_db]
A_MOMENT = 0.001


class Counting(Protocol):
    def __call__(self, number: int) -> AbstractContextManager[Any]: ...


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 3, 9, 0, tzinfo=UTC))


@pytest.fixture
def cache(clock: ManualClock) -> KeyCache:
    return KeyCache(clock)


@pytest.fixture
def organization() -> Organization:
    return an_organization()


def a_key(organization: Organization, *scopes: str, **changes: Any) -> tuple[ApiKey, str]:
    return keys.create(organization=organization, name="Website", scopes=scopes or ("submit",), **changes)


@contextmanager
def database_away() -> Iterator[None]:
    """Nobody answers where the database was."""
    settings = connection.settings_dict
    port = settings["PORT"]
    connection.close()
    settings["PORT"] = "9"
    try:
        yield
    finally:
        connection.close()
        settings["PORT"] = port


class TestMaking:
    def test_only_a_hash_and_a_beginning_are_kept_of_a_token(self, organization: Organization) -> None:
        maker = a_user()
        key, token = a_key(organization, "read", "submit", created_by=maker)

        row = ApiKey.objects.filter(pk=key.pk).values().get()
        assert row["hash"] == hashlib.sha256(token.encode()).hexdigest()
        assert row["prefix"] == token[:14]
        assert token not in str(row)
        assert (row["organization_id"], row["created_by_id"]) == (organization.pk, maker.pk)
        assert row["scopes"] == ["read", "submit"]

    def test_a_token_is_long_random_and_recognised_by_scanners(self, organization: Organization) -> None:
        tokens = {a_key(organization)[1] for _ in range(50)}

        assert len(tokens) == 50
        assert all(token.startswith("fh_live_") and len(token) == len("fh_live_") + 43 for token in tokens)

    def test_rights_are_kept_once_each(self, organization: Organization) -> None:
        assert a_key(organization, "read", "read")[0].scopes == ["read"]

    @pytest.mark.parametrize("scopes", [[], ["admin"], ["read", "write"]], ids=["none", "unknown", "one unknown"])
    def test_a_key_needs_rights_that_exist(self, organization: Organization, scopes: list[str]) -> None:
        with pytest.raises(ValueError, match="Choose from submit, read, manage"):
            keys.create(organization=organization, name="Website", scopes=scopes)

        assert not ApiKey.objects.exists()


class TestLookingUp:
    def test_a_good_token_grants_what_its_key_says(
        self, cache: KeyCache, clock: ManualClock, organization: Organization
    ) -> None:
        form = a_form(organization)
        expires = clock.now() + timedelta(days=1)
        key, token = a_key(organization, "read", "submit", form_id=form.pk, expires_at=expires)

        grant = cache.grant(token)

        assert grant == KeyGrant(key.pk, organization.pk, frozenset({"read", "submit"}), form.pk, expires)
        assert grant is not None
        assert grant.allows("read")
        assert not grant.allows("manage")

    @pytest.mark.parametrize(
        "token",
        ["", "fh_live_", "fh_live_" + "x" * 43, "fh_live_" + "x" * 93, "sk_live_" + "x" * 43, "fh_live_\u00e9\u2028"],
        ids=["empty", "prefix alone", "unknown", "too long", "another prefix", "not ASCII"],
    )
    def test_anything_else_grants_nothing(self, cache: KeyCache, organization: Organization, token: str) -> None:
        a_key(organization)

        assert cache.grant(token) is None

    def test_a_token_is_taken_letter_by_letter(self, cache: KeyCache, organization: Organization) -> None:
        _, token = a_key(organization)

        assert cache.grant(token.swapcase()) is None
        assert cache.grant(token[:-1]) is None
        assert cache.grant(token + "A") is None

    def test_what_is_no_token_of_ours_costs_no_query(
        self, cache: KeyCache, django_assert_num_queries: Counting
    ) -> None:
        with django_assert_num_queries(0):
            assert cache.grant("sk_live_" + "x" * 43) is None
            assert cache.grant("fh_live_" + "x" * 1000) is None

    @pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
    def test_a_token_is_looked_up_once_while_it_is_fresh(
        self, cache: KeyCache, clock: ManualClock, organization: Organization,
        django_assert_num_queries: Counting, known: bool,
    ) -> None:  # fmt: skip
        _, token = a_key(organization)
        token = token if known else "fh_live_" + "x" * 43
        first = cache.grant(token)

        clock.advance(FRESH_SECONDS)
        with django_assert_num_queries(0):
            assert cache.grant(token) == first
        clock.advance(A_MOMENT)
        with django_assert_num_queries(1):
            assert cache.grant(token) == first

    def test_a_revoked_key_stops_within_the_time_it_is_fresh(
        self, cache: KeyCache, clock: ManualClock, organization: Organization
    ) -> None:
        key, token = a_key(organization)
        assert cache.grant(token) is not None

        keys.revoke(key)

        clock.advance(FRESH_SECONDS + A_MOMENT)
        assert cache.grant(token) is None

    def test_revoking_again_keeps_the_first_time(self, organization: Organization) -> None:
        key, _ = a_key(organization)
        keys.revoke(key)
        first = key.revoked_at

        keys.revoke(key)

        key.refresh_from_db()
        assert key.revoked_at == first

    def test_a_key_that_is_made_works_once_its_absence_is_forgotten(
        self, cache: KeyCache, clock: ManualClock, organization: Organization
    ) -> None:
        key, token = a_key(organization)
        ApiKey.objects.filter(pk=key.pk).update(hash="elsewhere")
        assert cache.grant(token) is None
        ApiKey.objects.filter(pk=key.pk).update(hash=keys.hash_of(token))

        clock.advance(FRESH_SECONDS + A_MOMENT)

        assert cache.grant(token) is not None

    def test_a_key_expires_on_the_second_though_it_is_fresh(
        self, cache: KeyCache, clock: ManualClock, organization: Organization
    ) -> None:
        _, token = a_key(organization, expires_at=clock.now() + timedelta(seconds=1))
        assert cache.grant(token) is not None

        clock.advance(1)

        assert cache.grant(token) is None
        clock.advance(FRESH_SECONDS)
        assert cache.grant(token) is None

    def test_the_cache_is_bounded_and_lets_the_longest_unused_go(
        self, cache: KeyCache, organization: Organization, monkeypatch: pytest.MonkeyPatch,
        django_assert_num_queries: Counting,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(keys, "CACHE_MAX", 3)
        first, *others = [a_key(organization)[1] for _ in range(4)]
        for token in (first, *others):
            cache.grant(token)

        with django_assert_num_queries(0):
            assert all(cache.grant(token) for token in others)
        with django_assert_num_queries(1):
            assert cache.grant(first)
        assert len(cache._seen) == 3

    def test_cleared_it_knows_nothing(
        self, cache: KeyCache, organization: Organization, django_assert_num_queries: Counting
    ) -> None:
        _, token = a_key(organization)
        cache.grant(token)

        cache.clear()

        with django_assert_num_queries(1):
            cache.grant(token)


class TestLastUse:
    def used(self, key: ApiKey) -> datetime | None:
        key.refresh_from_db()
        return key.last_used_at

    def test_it_is_written_down_at_most_once_a_minute(
        self, cache: KeyCache, clock: ManualClock, organization: Organization
    ) -> None:
        key, token = a_key(organization)
        assert self.used(key) is None
        first = clock.now()
        cache.grant(token)
        assert self.used(key) == first

        for _ in range(20):
            clock.advance(3)
            cache.grant(token)
        assert self.used(key) == first

        clock.advance(3)
        cache.grant(token)
        assert self.used(key) == clock.now()

    def test_a_process_that_comes_second_within_the_minute_writes_nothing(
        self, clock: ManualClock, organization: Organization
    ) -> None:
        key, token = a_key(organization)
        first = clock.now()
        KeyCache(clock).grant(token)
        clock.advance(30)

        KeyCache(clock).grant(token)

        assert self.used(key) == first

    @pytest.mark.parametrize("gone", ["revoked", "expired"])
    def test_a_key_that_no_longer_works_was_not_used(
        self, cache: KeyCache, clock: ManualClock, organization: Organization, gone: str
    ) -> None:
        key, token = a_key(organization, expires_at=clock.now() if gone == "expired" else None)
        if gone == "revoked":
            keys.revoke(key)

        assert cache.grant(token) is None
        assert self.used(key) is None

    @pytest.mark.django_db(transaction=True)
    def test_a_database_that_takes_no_writes_costs_no_key_its_right(
        self, cache: KeyCache, organization: Organization
    ) -> None:
        """As a standby does, or one whose disk is full."""
        key, token = a_key(organization)

        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
            assert cache.grant(token) is not None
            cursor.execute("SET default_transaction_read_only = off")

        assert self.used(key) is None


@pytest.mark.django_db(transaction=True)
class TestWithoutADatabase:
    def test_a_key_seen_lately_is_honoured_and_no_longer_than_promised(
        self, cache: KeyCache, clock: ManualClock, organization: Organization
    ) -> None:
        _, token = a_key(organization)
        grant = cache.grant(token)

        with database_away():
            clock.advance(STALE_SECONDS)
            assert cache.grant(token) == grant
            clock.advance(FRESH_SECONDS + A_MOMENT)
            with pytest.raises(DatabaseError):
                cache.grant(token)

    def test_a_key_never_seen_is_neither_good_nor_bad(self, cache: KeyCache, organization: Organization) -> None:
        _, token = a_key(organization)

        with database_away(), pytest.raises(DatabaseError):
            cache.grant(token)

        assert cache.grant(token) is not None

    def test_it_is_asked_no_more_often_than_when_it_answers(
        self, cache: KeyCache, clock: ManualClock, organization: Organization, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Each question may wait for a connection for seconds, and every request brings its key."""
        _, token = a_key(organization)
        cache.grant(token)

        with database_away():
            clock.advance(FRESH_SECONDS + A_MOMENT)
            for _ in range(100):
                assert cache.grant(token) is not None
            clock.advance(FRESH_SECONDS + A_MOMENT)
            assert cache.grant(token) is not None

        asked = [record for record in caplog.records if "still honoured" in record.getMessage()]
        assert len(asked) == 2
        assert token not in caplog.text

    def test_whoever_waits_in_vain_takes_what_was_said_last_and_no_longer_than_promised(
        self, cache: KeyCache, clock: ManualClock, organization: Organization
    ) -> None:
        _, token = a_key(organization)
        with pytest.raises(keys.NotCached):
            cache.honoured(token)
        grant = cache.grant(token)

        clock.advance(STALE_SECONDS)
        assert cache.honoured(token) == grant
        assert cache.peek(token) == grant
        clock.advance(A_MOMENT)
        with pytest.raises(keys.NotCached):
            cache.honoured(token)

    def test_a_key_still_expires(self, cache: KeyCache, clock: ManualClock, organization: Organization) -> None:
        _, token = a_key(organization, expires_at=clock.now() + timedelta(seconds=60))
        cache.grant(token)

        with database_away():
            clock.advance(60)
            assert cache.grant(token) is None

    def test_back_again_a_key_that_was_revoked_meanwhile_stops(
        self, cache: KeyCache, clock: ManualClock, organization: Organization
    ) -> None:
        key, token = a_key(organization)
        cache.grant(token)
        with database_away():
            clock.advance(60)
            assert cache.grant(token) is not None
        keys.revoke(key)

        clock.advance(FRESH_SECONDS + A_MOMENT)

        assert cache.grant(token) is None
