"""One class: what its settings are, where it delivers, and how. FormHub does everything else."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django import forms

from apps.sinks.contract import Batch, ConfigurationError, Policy, RetryableError, Sink, Submission


class DropFolderConfig(forms.Form):
    folder = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,49}\Z", label="Folder", help_text="Small letters, digits and -. It is made if need be."
    )


class DropFolder(Sink):
    api_version = 1
    name, label = "dropfolder", "Drop folder"
    description = "Leaves submissions as files of JSON lines in a folder of the installation."
    Config = DropFolderConfig
    policy = Policy(max_items=1000, max_seconds=5, ordered=True, repeatable=True)

    @classmethod
    def destination(cls, config: Mapping[str, Any]) -> str:
        return str(config["folder"])

    def deliver(self, batch: Batch) -> None:
        lines = [json.dumps(_row(each)) for part in batch.parts for each in part.submissions]
        name = f"{batch.sequence:010}-{batch.id}.jsonl"
        # Renamed once it is on disk: whoever fetches files finds whole ones, and a repeat replaces its own.
        self._write(name, "\n".join([*lines, ""]).encode())

    def check(self) -> str:
        self._write("check", b"").unlink(missing_ok=True)
        return "The folder can be written to."

    def _write(self, name: str, body: bytes) -> Path:
        root = os.environ.get("DROP_FOLDER")
        if not root:
            remedy = "Set DROP_FOLDER for the workers, then resume."
            raise ConfigurationError("No drop folder is set up.", remedy=remedy)
        target = Path(root) / str(self.context.organization) / self.config["folder"] / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            written = target.with_name(f".{name}.new")
            with written.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            return written.replace(target)
        except PermissionError:
            remedy = "Give the workers' user the right to write there, then resume."
            raise ConfigurationError("The drop folder cannot be written to.", remedy=remedy) from None
        except OSError:
            raise RetryableError("The drop folder takes nothing at present.") from None


def _row(submission: Submission) -> dict[str, Any]:
    return {
        "id": str(submission.id),
        "form": str(submission.form),
        "accepted_at": submission.accepted_at.isoformat(),
        "answers": dict(submission.answers),
    }
