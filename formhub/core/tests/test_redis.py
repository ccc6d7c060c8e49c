import pytest
from django.core.exceptions import ImproperlyConfigured

from formhub.core import redis

SENTINELS = "redis+sentinel://reader:p%40ss@one:1,two,[::1]:3/My.service/2?sentinel_password=hush"


@pytest.mark.parametrize("url", ["redis://127.0.0.1:6379/0", "rediss://host/1", "unix:///run/redis.sock?db=2"])
def test_the_address_of_one_server_stays_as_it_is(url: str) -> None:
    assert redis.checked("REDIS_URL", url) == url
    assert redis.watched(url) is None


def test_an_address_of_sentinels_is_taken_apart() -> None:
    found = redis.watched(SENTINELS)

    assert found == redis.Watched(
        sentinels=(("one", 1), ("two", 26379), ("::1", 3)),
        service="My.service",
        db=2,
        login={"username": "reader", "password": "p@ss"},
        sentinel_login={"password": "hush"},
    )
    assert "p@ss" not in repr(found)
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://host/0", id="another scheme"),
        pytest.param("redis://:secret@host:port/0", id="a port that is none"),
        pytest.param("redis+sentinel://:secret@one:1,two:2", id="no service"),
        pytest.param("redis+sentinel://:secret@one:1/service/first", id="a database without a number"),
        pytest.param("redis+sentinel://:secret@one:/service", id="an empty port"),
        pytest.param("redis+sentinel://:secret@one:1,/service", id="an empty host"),
        pytest.param("redis+sentinel://:secret@one:1/service?timeout=1", id="an unknown option"),
    ],
)
def test_an_address_that_cannot_be_used_names_the_setting_and_the_form_but_no_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^REDIS_URL: .*redis\+sentinel://\[user") as raised:
        redis.checked("REDIS_URL", url)

    assert "secret" not in str(raised.value)


def test_celery_hears_of_every_sentinel_with_the_login_of_the_servers() -> None:
    url, options = redis.broker("CELERY_BROKER_URL", SENTINELS)

    login = "sentinel://reader:p%40ss@"
    assert url == f"{login}one:1/2;{login}two:26379/2;{login}[::1]:3/2"
    assert options["master_name"] == "My.service"
    assert options["sentinel_kwargs"].items() >= {"password": "hush"}.items()


@pytest.mark.parametrize("url", ["redis://127.0.0.1/0", SENTINELS])
def test_celery_never_waits_for_ever(url: str) -> None:
    _, options = redis.broker("CELERY_BROKER_URL", url)

    assert redis.BROKER_TIMEOUTS.items() <= options.items()


def test_a_broker_of_another_kind_is_left_to_celery() -> None:
    assert redis.broker("CELERY_BROKER_URL", "amqp://host//") == ("amqp://host//", {})
