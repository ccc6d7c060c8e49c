import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from formhub.core.secrets import SecretUnreadableError, decrypt, encrypt


def test_a_secret_comes_back_and_its_token_shows_nothing_of_it() -> None:
    token = encrypt({"password": "hunter2"})

    assert "hunter2" not in token
    assert decrypt(token) == {"password": "hunter2"}
    assert decrypt(encrypt({})) == {}


def test_a_secret_written_with_an_older_key_of_the_list_is_still_read(settings: Settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [old]
    token = encrypt({"a": 1})

    settings.ENCRYPTION_KEYS = [new, old]
    assert decrypt(token) == {"a": 1}

    settings.ENCRYPTION_KEYS = [new]
    with pytest.raises(SecretUnreadableError):
        decrypt(token)
