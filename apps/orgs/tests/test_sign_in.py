"""Signing in to the admin: who may, how often one may try, and what the answers give away."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache, caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.orgs import sign_in
from apps.orgs.models import Membership, Role, User
from apps.orgs.tests.people import a_member, an_organization
from deploy.local.valkey import Valkey

pytestmark = [pytest.mark.services, pytest.mark.django_db]
LOGIN, INDEX = reverse("admin:login"), reverse("admin:index")
PASSWORD = "correct horse battery"
WRONG = "Please enter the correct"


@pytest.fixture(autouse=True)
def _empty_cache(valkey_service: Valkey) -> None:
    cache.clear()


@pytest.fixture
def user() -> User:
    user = User.objects.create_user("Ada@example.org", PASSWORD)
    return a_member(an_organization(), Role.VIEWER, user)


def tried(email: str, password: str = PASSWORD, client: Client | None = None, address: str = "198.51.100.7") -> str:
    """Empty when it worked, else what the page says."""
    answer = (client or Client()).post(LOGIN, {"username": email, "password": password}, REMOTE_ADDR=address)
    if answer.status_code == 302:
        return ""
    assert answer.status_code == 200
    return " ".join(answer.context["form"].non_field_errors())


@pytest.mark.parametrize("email", ["Ada@example.org", "ada@EXAMPLE.org", "  ada@example.org "])
def test_a_member_signs_in_however_the_address_is_written(user: User, email: str) -> None:
    client = Client()

    assert tried(email, client=client) == ""
    assert client.get(INDEX).status_code == 200


def test_a_superuser_needs_no_organization() -> None:
    User.objects.create_superuser("root@example.org", PASSWORD)

    assert tried("root@example.org") == ""


def test_who_is_no_member_is_told_what_to_do_and_only_with_the_right_password() -> None:
    User.objects.create_user("new@example.org", PASSWORD, is_staff=True)

    assert "Ask its owner to add you" in tried("new@example.org")
    assert WRONG in tried("new@example.org", "something else")


def test_a_removed_member_is_shown_out(user: User) -> None:
    client = Client()
    tried(user.email, client=client)
    Membership.objects.filter(user=user).delete()

    answer = client.get(INDEX)

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(LOGIN)


def test_somebody_switched_off_is_shown_out(user: User) -> None:
    client = Client()
    tried(user.email, client=client)
    User.objects.update(is_active=False)

    assert client.get(INDEX).status_code == 302
    assert WRONG in tried(user.email)


def test_an_account_without_a_password_cannot_be_entered(user: User) -> None:
    user.set_unusable_password()
    user.save()

    for password in ("!", user.password, user.password.removeprefix("!")):
        assert WRONG in tried(user.email, password)


class TestGivingNothingAway:
    PEOPLE = ("unknown@example.org", "member@example.org", "off@example.org", "none@example.org", "bare@example.org")

    def answers(self) -> set[str]:
        return {tried(email, "something else") for email in self.PEOPLE}

    @pytest.fixture(autouse=True)
    def _people(self) -> None:
        a_member(an_organization(), Role.OWNER, User.objects.create_user("member@example.org", PASSWORD))
        User.objects.create_user("off@example.org", PASSWORD, is_active=False)
        User.objects.create_user("none@example.org", PASSWORD)
        User.objects.create_user("bare@example.org")

    def test_a_wrong_password_sounds_like_an_unknown_address(self) -> None:
        assert len(self.answers()) == 1

    def test_so_it_does_when_there_were_too_many_tries(self) -> None:
        for _ in range(sign_in.TRIES):
            self.answers()

        [said] = self.answers()
        assert "Too many tries" in said

    def test_an_unknown_address_takes_the_work_of_a_known_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The slow part is the hash: it is worked out for nobody too."""
        worked: list[str] = []
        encode = MD5PasswordHasher.encode

        def counted(hasher: MD5PasswordHasher, password: str, salt: str) -> str:
            worked.append(password)
            return encode(hasher, password, salt)

        monkeypatch.setattr(MD5PasswordHasher, "encode", counted)

        for email in self.PEOPLE:
            worked.clear()
            tried(email, "something else")
            assert worked, email


class TestTooManyTries:
    def exhaust(self, email: str, address: str = "198.51.100.7") -> None:
        for _ in range(sign_in.TRIES):
            assert WRONG in tried(email, "something else", address=address)

    def test_even_the_right_password_has_to_wait(self, user: User) -> None:
        self.exhaust(user.email)

        assert "Too many tries" in tried(user.email)

    def test_while_they_last_nothing_is_hashed_or_asked(self, user: User) -> None:
        self.exhaust(user.email)

        with CaptureQueriesContext(connection) as asked:
            tried(user.email)

        assert not any("orgs_user" in query["sql"] for query in asked.captured_queries)

    def test_they_are_counted_per_address_so_that_nobody_locks_others_out(self, user: User) -> None:
        self.exhaust(user.email, "203.0.113.9")

        assert tried(user.email) == ""

    def test_they_are_counted_per_account(self, user: User) -> None:
        self.exhaust("somebody@example.org")

        assert tried(user.email) == ""

    @pytest.mark.parametrize(
        "email",
        [
            pytest.param("SIMON@example.org", id="capitals"),
            pytest.param(" simon@example.org\t", id="spaces"),
            pytest.param("\uff33imon@example.org", id="full width"),
            pytest.param("s\u0131mon@example.org", id="a letter with the same capital"),
            pytest.param("\u017fimon@example.org", id="a long s"),
        ],
    )
    def test_another_way_to_write_the_address_is_no_further_try(self, email: str) -> None:
        a_member(an_organization(), Role.VIEWER, User.objects.create_user("simon@example.org", PASSWORD))
        self.exhaust("simon@example.org")

        assert "Too many tries" in tried(email)

    def test_signing_in_starts_the_count_anew(self, user: User) -> None:
        for _ in range(sign_in.TRIES - 1):
            tried(user.email, "something else")
        assert tried(user.email) == ""

        self.exhaust(user.email)

    def test_the_wait_ends_by_itself(self, user: User) -> None:
        self.exhaust(user.email)

        [key] = cache.keys("sign-in:*")  # type: ignore[attr-defined]
        assert 0 < cache.ttl(key) <= sign_in.WAIT_SECONDS  # type: ignore[attr-defined]
        cache.delete(key)
        assert tried(user.email) == ""

    def test_the_address_of_whoever_tried_is_not_kept(self, user: User) -> None:
        self.exhaust(user.email)

        [key] = cache.keys("sign-in:*")  # type: ignore[attr-defined]
        assert re.fullmatch(r"sign-in:[0-9a-f]{64}", key)
        assert cache.get(key) == sign_in.TRIES


def test_without_the_cache_people_sign_in(user: User) -> None:
    """The hash is slow by itself, and an outage should lock nobody out."""
    with cache_away():
        for _ in range(sign_in.TRIES + 1):
            assert WRONG in tried(user.email, "something else")
        assert tried(user.email) == ""


@contextmanager
def cache_away() -> Iterator[None]:
    settings = caches.settings["default"]
    address, settings["LOCATION"] = settings["LOCATION"], "redis://127.0.0.1:9/0"
    del caches["default"]
    try:
        yield
    finally:
        settings["LOCATION"] = address
        del caches["default"]
