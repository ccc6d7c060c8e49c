import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from formhub.core.journal import Entry, Journal

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def an_entry(submission: UUID | None = None) -> Entry:
    return Entry(uuid4(), submission or uuid4(), NOW)


def test_what_was_written_is_read_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "made" / "when needed")
    entries = [an_entry(), Entry(uuid4(), None, NOW), an_entry()]

    journal.append(entries[:1], NOW)
    journal.append(entries[1:], NOW)

    assert list(journal.entries()) == entries
    assert journal.tail() == entries
    assert [path.name for path in journal.files()] == ["erased-2026-11.jsonl"]


def test_nothing_to_write_makes_no_file(tmp_path: Path) -> None:
    Journal(tmp_path).append([], NOW)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert list(Journal(tmp_path / "nowhere").entries()) == []
    assert Journal(tmp_path / "nowhere").tail() == []


def test_a_line_that_a_crash_cut_short_spoils_neither_the_one_before_nor_the_one_after(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    first, second = an_entry(), an_entry()
    journal.append([first], NOW)
    with journal.files()[0].open("ab") as file:
        file.write(b'{"form": "0190a1b2-0000-70')

    journal.append([second], NOW)

    assert list(journal.entries()) == [first, second]


def test_only_the_end_of_a_long_file_is_looked_at(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entries = [an_entry() for _ in range(100)]
    journal.append(entries, NOW)

    assert journal.tail(size=1000) == entries[-len(journal.tail(size=1000)) :]
    assert 0 < len(journal.tail(size=1000)) < 10


def test_a_file_goes_when_its_whole_month_is_old_enough(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    (tmp_path / "notes.txt").write_text("not ours")
    for month in (datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)):
        journal.append([an_entry()], month)

    assert journal.drop_older(datetime(2026, 1, 31, tzinfo=UTC), days=31) == 0
    assert journal.drop_older(datetime(2026, 2, 1, tzinfo=UTC) + timedelta(hours=1), days=31) == 1
    assert [path.name for path in journal.files()] == ["erased-2026-01.jsonl"]
    assert (tmp_path / "notes.txt").exists()


def test_processes_that_write_at_once_leave_whole_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(tmp_path, number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)

    assert [writer.exitcode for writer in writers] == [0] * 4
    assert {entry.submission for entry in Journal(tmp_path).entries()} == {
        UUID(int=number * 1000 + place) for number in range(4) for place in range(50)
    }


def write_many(folder: Path, number: int) -> None:
    for place in range(50):
        Journal(folder).append([Entry(UUID(int=1), UUID(int=number * 1000 + place), NOW)] * 20, NOW)
