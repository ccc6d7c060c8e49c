"""The promises of every action of FormHub, and what is this one's own, in a folder of the test's own."""

import json
from pathlib import Path
from uuid import UUID

import pytest
from formhub_dropfolder.sink import DropFolder, DropFolderConfig

from apps.sinks.conformance import SinkConformance
from apps.sinks.contract import ConfigurationError, Context


class TestDropFolder(SinkConformance):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = tmp_path
        monkeypatch.setenv("DROP_FOLDER", str(tmp_path))

    def make_sink(self, context: Context) -> DropFolder:
        return DropFolder({"folder": "inbox"}, context)

    def times_seen(self, submission: UUID) -> int:
        return sum(path.read_text().count(str(submission)) for path in self.files())

    def break_service(self) -> bool:
        self.root.joinpath(str(self.context().organization)).write_text("A file stands where the folder would be.")
        return True

    def files(self) -> list[Path]:
        return sorted(self.root.glob("*/inbox/[0-9]*.jsonl"))

    def test_files_sort_in_the_order_in_which_they_were_made_and_nothing_else_is_left(self) -> None:
        sink = self.make_sink(self.context())

        for sequence in (9, 10):
            sink.deliver(self.make_batch(sink, 1, sequence=sequence))

        assert [path.name.partition("-")[0] for path in self.files()] == ["0000000009", "0000000010"]
        assert sorted(self.files()[0].parent.iterdir()) == self.files()

    def test_a_line_holds_the_answers(self) -> None:
        sink = self.make_sink(self.context())

        sink.deliver(self.make_batch(sink, 1))

        assert json.loads(self.files()[0].read_text())["answers"] == {"name": "Ada 0", "count": 0}

    def test_without_a_folder_it_says_what_to_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DROP_FOLDER")

        with pytest.raises(ConfigurationError) as caught:
            self.make_sink(self.context()).check()

        assert "DROP_FOLDER" in caught.value.remedy


@pytest.mark.parametrize("folder", ["..", "../other", "a/b", "", "inbox\n", ".hidden"])
def test_no_place_outside_can_be_named(folder: str) -> None:
    form = DropFolderConfig({"folder": folder})

    assert not form.is_valid() or form.cleaned_data["folder"] == "inbox"
