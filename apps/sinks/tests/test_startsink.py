from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


def started(folder: Path, name: str = "postal_mail", **options: str) -> Path:
    call_command("startsink", name, folder=folder, **options)
    return folder / f"formhub-{name.replace('_', '-')}"


def test_a_package_is_made_and_the_next_steps_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = started(tmp_path)

    assert sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()) == [
        "README.md",
        "pyproject.toml",
        "src/formhub_postal_mail/__init__.py",
        "src/formhub_postal_mail/sink.py",
        "tests/test_sink.py",
    ]
    assert 'postal_mail = "formhub_postal_mail.sink:PostalMail"' in (made / "pyproject.toml").read_text()
    assert "pytest" in capsys.readouterr().out


def test_no_template_leaves_a_place_unfilled(tmp_path: Path) -> None:
    made = started(tmp_path)

    assert [path.name for path in made.rglob("*") if path.is_file() and "$" in path.read_text()] == []


def test_people_read_the_label_that_is_given(tmp_path: Path) -> None:
    made = started(tmp_path, label="Post by pigeon")

    assert 'name, label = "postal_mail", "Post by pigeon"' in (made / "src/formhub_postal_mail/sink.py").read_text()


NO_NAMES = ("Ticker", "1st", "a-b", "a b", "", "a__b", "_a", "a_", "class", "x" * 41, "../a", "é", "ticker\n")


@pytest.mark.parametrize("name", [*NO_NAMES, "google_sheets"])
def test_a_name_that_cannot_be_a_kinds_is_refused_and_nothing_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="name"):
        started(tmp_path, name)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("label", ['a"b', "a\\b", "$a", "a\nb"])
def test_a_label_that_would_end_a_string_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(CommandError, match="label"):
        started(tmp_path, label=label)


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    made = started(tmp_path)
    (made / "README.md").write_text("Mine.")

    with pytest.raises(CommandError, match="exists"):
        started(tmp_path)

    assert (made / "README.md").read_text() == "Mine."


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no folder"):
        started(tmp_path / "nowhere")
