"""Submissions to the event loop while what it leans on is dead, stands still, or comes back.

Every service is the real one and taken away under load. What each client heard is held against log and outbox.
"""

import json
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack

import pytest

from apps.orgs import keys
from tests.outages import PATIENCE, Answer, Load, Site, answers_of, burst, new_tag
from tests.stack import wait_until

pytestmark = pytest.mark.services
HOWS = ("killed", "paused")
LIMIT = 20
SLOW_SENDERS = 300


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("outages"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def heard(answers: Iterable[Answer]) -> Counter[tuple[int, str]]:
    return Counter((answer.status, answer.code) for answer in answers)


def all_taken(answers: Iterable[Answer]) -> bool:
    assert set(heard(answers)) == {(202, "")}, heard(answers)
    return True


def through_log(site: Site, load: Load) -> None:
    """Wait until the log takes submissions again, and then some more."""
    before = site.metric("formhub_intake_accepted_total", door="kafka")
    wait_until(
        lambda: site.metric("formhub_intake_accepted_total", door="kafka") > before, PATIENCE, "the log takes them"
    )
    load.more()


def settled(site: Site) -> None:
    wait_until(lambda: site.metric("formhub_intake_pending") == 0, PATIENCE, "nothing is pending")


def held_once(site: Site, answers: Iterable[Answer]) -> None:
    """What was answered 202 is there under that id alone."""
    found = site.held()
    apart = [answer for answer in answers if answer.status == 202 and found.get(answer.tag) != {answer.id}]
    assert not apart


@pytest.mark.parametrize("how", HOWS)
def test_without_redis_submissions_go_on_and_limits_are_kept_once_it_is_back(site: Site, how: str) -> None:
    limited = site.form()
    site.sql("UPDATE forms_form SET rates = %s WHERE public_id = %s", f'{{"per_address": "{LIMIT}/hour"}}', limited)
    with Load(site.url()) as load:
        load.more()
        with site.without("valkey", how):
            load.more()
            all_taken(burst(site.url(limited), 2 * LIMIT))
        wait_until(
            lambda: (429, "rate_limited") in heard(burst(site.url(limited), LIMIT)), PATIENCE, "the limit is kept"
        )

    all_taken(load.answers)
    held_once(site, load.answers)


@pytest.mark.parametrize("how", HOWS)
def test_without_the_log_the_outbox_takes_submissions_until_it_is_back(site: Site, how: str) -> None:
    with Load(site.url()) as load:
        load.more()
        before = site.metric("formhub_intake_accepted_total", door="outbox")
        with site.without("kafka", how):
            wait_until(
                lambda: site.metric("formhub_intake_accepted_total", door="outbox") > before + 60,
                PATIENCE,
                "the outbox takes them",
            )
        through_log(site, load)

    all_taken(load.answers)
    settled(site)
    held_once(site, load.answers)


@pytest.mark.parametrize("how", HOWS)
def test_without_postgres_forms_and_keys_are_served_from_memory(site: Site, how: str) -> None:
    form, token = site.form(), site.token()
    blocked = site.metric("formhub_web_loop_blocked_total")
    with Load(site.url(form)) as load, Load(site.url(form), token) as with_key:
        load.more()
        with_key.more()
        with site.without("postgres", how):
            load.more()
            with_key.more()
            unknown = burst(site.url(), 5)
            assert site.lives()
            load.more()
            with_key.more()
        load.more()
        with_key.more()

    assert set(heard(unknown)) == {(503, "not_looked_up")}, heard(unknown)
    assert all(answer.headers["Retry-After"] for answer in unknown)
    all_taken(load.answers)
    all_taken(with_key.answers)
    assert site.metric("formhub_web_loop_blocked_total") == blocked, site.blocked()
    held_once(site, load.answers + with_key.answers)


def test_without_any_of_them_callers_are_told_to_come_again_and_nothing_is_kept(site: Site) -> None:
    url = site.url()
    all_taken(burst(url, 5))
    with ExitStack() as away:
        for name in ("valkey", "postgres", "kafka"):
            away.enter_context(site.without(name, "killed"))
        refused = burst(url, 50)
        assert site.lives()
        # What was handed to the producer is its own until it gives up.
        settled(site)

    assert set(heard(refused)) == {(503, "not_stored")}, heard(refused)
    assert all(answer.headers["Retry-After"] for answer in refused)
    with Load(url) as load:
        through_log(site, load)
    held = site.held()
    assert not [answer.tag for answer in refused if answer.tag in held]


def test_clients_that_leave_while_they_wait_leave_nothing_behind(site: Site) -> None:
    form = site.form()
    all_taken(burst(site.url(form), 5))
    tags = [new_tag() for _ in range(50)]
    with site.without("kafka", "paused"):
        links = [post(site, form, tag) for tag in tags]
        wait_until(lambda: site.metric("formhub_intake_pending") > 0, PATIENCE, "they wait")
        for link in links:
            link.close()
        stayed = burst(site.url(form), 20)

    with Load(site.url(form)) as load:
        through_log(site, load)
    settled(site)
    all_taken(stayed)
    all_taken(load.answers)
    held_once(site, stayed + load.answers)
    held = site.held()
    assert all(len(held.get(tag, ())) <= 1 for tag in tags)


def test_slow_senders_hold_nobody_up(site: Site) -> None:
    form = site.form()
    links = [post(site, form, new_tag(), part=0.5) for _ in range(SLOW_SENDERS)]
    try:
        with Load(site.url(form)) as load:
            load.more(200)
            assert {first_line(link) for link in links} == {"HTTP/1.1 408 Request Timeout"}
            load.more()
    finally:
        for link in links:
            link.close()
    all_taken(load.answers)


def test_a_form_that_the_process_has_not_seen_takes_fifty_at_once(site: Site) -> None:
    answers = burst(site.url(), 50)
    all_taken(answers)
    held_once(site, answers)


def test_a_key_is_looked_up_again_under_load_and_is_refused_once_revoked(site: Site) -> None:
    form, token = site.form(), site.token()
    looked_up = "SELECT last_used_at FROM orgs_apikey WHERE hash = %s"
    digest = keys.hash_of(token)
    with Load(site.url(form), token) as load:
        load.more()
        [(first,)] = site.sql(looked_up, digest)
        site.sql("UPDATE orgs_apikey SET last_used_at = NULL WHERE hash = %s", digest)
        wait_until(lambda: site.sql(looked_up, digest) != [(None,)], PATIENCE, "the key is looked up again")
        load.more()
        before = list(load.answers)
        site.sql("UPDATE orgs_apikey SET revoked_at = now() WHERE hash = %s", digest)
        # Within twice FRESH_SECONDS, and the time of a look-up on a busy machine.
        wait_until(lambda: (401, "invalid_key") in heard(load.answers), 2 * keys.FRESH_SECONDS + 3, "it is refused")
        load.more()

    assert first is not None
    all_taken(before)
    assert set(heard(load.answers)) == {(202, ""), (401, "invalid_key")}, heard(load.answers)
    assert load.answers[-1].status == 401


def post(site: Site, form: str, tag: str, part: float = 1.0) -> socket.socket:
    """A connection on which a submission was begun, or `part` of its body."""
    body = json.dumps(answers_of(tag)).encode()
    head = (
        f"POST /api/v1/forms/{form}/submissions HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json",
        f"Content-Length: {len(body)}", "", "",
    )  # fmt: skip
    link = socket.create_connection(("127.0.0.1", site.stack.port), 20)
    link.sendall("\r\n".join(head).encode() + body[: int(part * len(body))])
    return link


def first_line(link: socket.socket) -> str:
    return link.recv(65536).split(b"\r\n", 1)[0].decode()
