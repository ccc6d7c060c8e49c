from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from formhub.settings import base, env


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file\n")
    monkeypatch.setenv("SOME_KEY_FILE", str(tmp_path / "key"))

    assert env.secret("SOME_KEY") == "from-file"


def test_a_missing_secret_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)

    with pytest.raises(ImproperlyConfigured, match="SOME_KEY"):
        env.secret("SOME_KEY")


@pytest.mark.parametrize(("written", "read"), [("on", True), ("TRUE", True), ("0", False), ("no", False)])
def test_a_flag_reads_the_usual_words(monkeypatch: pytest.MonkeyPatch, written: str, read: bool) -> None:
    monkeypatch.setenv("SOME_FLAG", written)

    assert env.flag("SOME_FLAG", default=not read) is read


def test_a_word_that_is_no_choice_names_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_FORMAT", "xml")

    with pytest.raises(ImproperlyConfigured, match="SOME_FORMAT='xml' is none of json, console"):
        env.choice("SOME_FORMAT", "json", ("json", "console"))


@pytest.mark.parametrize("written", ["many", "1.5", "-1"])
def test_an_unusable_number_names_variable_and_value(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("SOME_COUNT", written)

    with pytest.raises(ImproperlyConfigured, match="SOME_COUNT"):
        env.integer("SOME_COUNT", 3)


def test_networks_and_numbers_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NETWORKS", "10.1.0.0/16, fd00::/8")
    monkeypatch.setenv("SOME_PORTS", "443, 8443")

    assert [str(network) for network in env.networks("SOME_NETWORKS")] == ["10.1.0.0/16", "fd00::/8"]
    assert env.integers("SOME_PORTS") == [443, 8443]


@pytest.mark.parametrize("written", ["10.1.0.1/16", "everything"])
def test_what_is_no_network_names_the_variable(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("SOME_NETWORKS", written)

    with pytest.raises(ImproperlyConfigured, match="SOME_NETWORKS"):
        env.networks("SOME_NETWORKS")


@pytest.mark.parametrize(
    ("named", "said"),
    [({"CERT"}, "CERT and KEY together"), ({"KEY"}, "CERT and KEY together"), ({"CERT", "KEY"}, "CA")],
)
def test_a_certificate_needs_its_key_and_the_authority_of_the_other_side(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: set[str], said: str
) -> None:
    (tmp_path / "pem").touch()
    for name in named:
        monkeypatch.setenv(name, str(tmp_path / "pem"))

    with pytest.raises(ImproperlyConfigured, match=said):
        env.pair("CERT", "KEY", needs="CA")


def test_a_certificate_with_all_that_it_needs_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pem").touch()
    for name in ("CERT", "KEY", "CA"):
        monkeypatch.setenv(name, str(tmp_path / "pem"))

    assert env.pair("CERT", "KEY", needs="CA") == (str(tmp_path / "pem"),) * 2


def test_a_database_url_is_taken_apart_with_its_escapes_and_options() -> None:
    parsed = base.database("postgresql://us%40er:p%2Fw@db:5433/name?host=/run/pg&sslmode=require")

    assert (parsed["USER"], parsed["PASSWORD"], parsed["NAME"]) == ("us@er", "p/w", "name")
    assert (parsed["HOST"], parsed["PORT"]) == ("/run/pg", "5433")
    assert parsed["OPTIONS"]["sslmode"] == "require"


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="postgres://"):
        base.database("mysql://db/name")
