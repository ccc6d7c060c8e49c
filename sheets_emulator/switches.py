"""What nobody has measured on the live API yet, as switches.

The text that `dump` writes and `load` reads is TOML, one `name = "answer"` a line. The emulator starts with such a
file (`--switches`), and a probe of the live API prints its findings as one: the emulator then behaves as Google did.
Without a finding a switch stands where the documents say; where they say nothing, at the less pleasant answer.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


class SwitchError(ValueError):
    """A switch that does not exist, or an answer that is none of its own."""


def _switch(question: str, *answers: str) -> Any:
    """The first answer is where it stands."""
    return field(default=answers[0], metadata={"question": question, "answers": answers})


@dataclass(frozen=True, slots=True)
class Switches:
    repeated_metadata_id: str = _switch(
        "Is a metadata id that is in use refused, and with it the whole batch?", "refused", "accepted"
    )
    unmatched_metadata_delete: str = _switch(
        "Is deleting developer metadata that nothing matches an error?", "error", "ignored"
    )
    row_metadata_in_sort: str = _switch(
        "Does the metadata of a row follow when rows are sorted?", "stays", "follows_the_row"
    )
    append_and_notes: str = _switch(
        "Does a stray note push appended rows below it?", "counts_as_data", "does_not_count"
    )
    append_and_checkboxes: str = _switch(
        "Do cells with data validation and no value push appended rows below them?", "counts_as_data", "does_not_count"
    )
    append_and_hidden_rows: str = _switch(
        "Where does appendCells write when a filter or a person hides the last rows?",
        "below_the_last_visible_row",
        "below_the_last_row",
    )
    protected_cells: str = _switch("With what is a write to a protected range refused?", "error_400", "error_403")
    included_spreadsheet: str = _switch(
        "Does includeSpreadsheetInResponse send cells that nobody asked for?", "with_cells", "without_cells"
    )
    metadata_in_a_copy: str = _switch("What becomes of developer metadata in a copy of the file?", "copied", "dropped")
    metadata_at_a_restore: str = _switch(
        "What becomes of developer metadata when an old version is restored?", "lost", "restored", "kept"
    )
    quota_window: str = _switch(
        "Does the quota count the last sixty seconds, or start anew with each minute?", "sliding", "minute"
    )
    service_account_storage: str = _switch(
        "May a service account own files? On a shared drive it may, in a Drive of its own it has no room.",
        "granted",
        "none",
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            answers = each.metadata["answers"]
            if getattr(self, each.name) not in answers:
                raise SwitchError(f"{each.name} is one of {', '.join(answers)}.")

    def answers(self) -> dict[str, str]:
        return asdict(self)

    def changed(self, answers: Mapping[str, Any]) -> "Switches":
        """Raises SwitchError."""
        known = self.answers()
        if unknown := sorted(answers.keys() - known.keys()):
            raise SwitchError(f"There is no switch {unknown[0]}. There are: {', '.join(known)}.")
        return Switches(**{**known, **answers})


DEFAULT = Switches()


def load(text: str) -> Switches:
    """Switches that the text does not name stand where they always do. Raises SwitchError."""
    try:
        return DEFAULT.changed(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SwitchError(f"The switches cannot be read: {error}.") from None


def dump(switches: Switches) -> str:
    """Each switch below its question and the answers it takes."""
    return "\n".join(
        f"# {each.metadata['question']} ({' | '.join(each.metadata['answers'])})\n"
        f'{each.name} = "{getattr(switches, each.name)}"\n'
        for each in fields(switches)
    )
