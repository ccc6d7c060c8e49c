"""Every spreadsheet, without HTTP: behind one lock, so that a call sees and leaves a whole state."""

import secrets
from collections.abc import Mapping
from threading import RLock

from sheets_emulator import changes
from sheets_emulator.auth import Accounts
from sheets_emulator.caller import Caller
from sheets_emulator.clock import Clock
from sheets_emulator.errors import ApiError, not_found
from sheets_emulator.journal import Journal
from sheets_emulator.model import Json, Spreadsheet
from sheets_emulator.quota import Quota
from sheets_emulator.switches import DEFAULT, Switches


class ReplayError(Exception):
    """The journal was written by another version of the emulator."""


class Service:
    """`base_url` is shown as the address of each spreadsheet."""

    def __init__(
        self,
        accounts: Accounts,
        quota: Quota,
        journal: Journal,
        clock: Clock,
        *,
        switches: Switches | None = None,
        base_url: str = "",
    ) -> None:
        self.accounts = accounts
        self.quota = quota
        self.clock = clock
        self.base_url = base_url
        self.spreadsheets: dict[str, Spreadsheet] = {}
        self.calls: dict[str, int] = {}
        self.switches = DEFAULT
        self.lock = RLock()
        self._journal = journal
        for entry in journal.entries():
            self._replay(entry)
        if switches is not None:
            self.switch(switches)

    def caller(self, email: str, project: str) -> Caller:
        return Caller(email, project, self.switches)

    def find(self, spreadsheet_id: str) -> Spreadsheet:
        """Raises ApiError 404."""
        found = self.spreadsheets.get(spreadsheet_id)
        if found is None:
            raise not_found()
        return found

    # Changes: made on a copy, written down, and only then put in place of what was there

    def change(self, spreadsheet_id: str, kind: str, **entry: object) -> Json:
        """Make one of the changes by name, or a `batch` of updates. Raises ApiError."""
        with self.lock:
            made: Json = {"id": spreadsheet_id, "at": self.clock(), **entry}
            changed, answer = changes.apply(self.find(spreadsheet_id), kind, self._resolved(kind, made), self.switches)
            self._journal.write(kind, **made)
            self.spreadsheets[spreadsheet_id] = changed
            return answer

    def create(self, title: str, roles: Mapping[str, str], spreadsheet_id: str = "", folder: str = "") -> Spreadsheet:
        with self.lock:
            entry = {"id": spreadsheet_id or secrets.token_urlsafe(33), "at": self.clock()}
            entry |= {"title": title, "roles": dict(roles), "folder": folder}
            self._journal.write("create", **entry)
            made = self.spreadsheets[str(entry["id"])] = changes.created(entry)
            return made

    def copy(self, source_id: str, title: str, email: str, folder: str) -> Spreadsheet:
        with self.lock:
            source = self.find(source_id)
            entry = {"id": secrets.token_urlsafe(33), "at": self.clock(), "source": source_id}
            entry |= {"title": title or f"Copy of {source.title}", "roles": {email: "owner"}, "folder": folder}
            self._journal.write("copy", **entry)
            made = self.spreadsheets[str(entry["id"])] = changes.copied(source, entry, self.switches)
            return made

    def delete(self, spreadsheet_id: str) -> None:
        with self.lock:
            self._journal.write("delete", id=spreadsheet_id)
            self.spreadsheets.pop(spreadsheet_id, None)

    def share(self, spreadsheet_id: str, whom: str, role: str | None) -> None:
        """Give a role, or take it away with None."""
        self.change(spreadsheet_id, "share", whom=whom, role=role)

    def edit(self, spreadsheet_id: str, *requests: Json) -> None:
        """What a person does in the browser: the same updates, without quota, as the file's owner."""
        with self.lock:
            owner = next(email for email, role in self.find(spreadsheet_id).roles.items() if role == "owner")
            self.change(spreadsheet_id, "batch", email=owner, project="people", requests=list(requests))

    def switch(self, switches: Switches) -> None:
        """Written down with the changes, so that those after it are applied again as they were."""
        with self.lock:
            if switches != self.switches:
                self._journal.write("switches", answers=switches.answers())
                self.switches = switches

    def count(self, method: str) -> None:
        with self.lock:
            self.calls[method] = self.calls.get(method, 0) + 1

    def _resolved(self, kind: str, entry: Json) -> Json:
        """A tab that is taken from another file is looked up, now and in a replay."""
        if kind != "take_tab":
            return entry
        return {**entry, "source": self.find(entry["file"]).sheet(entry["sheet"])}

    def _replay(self, entry: Json) -> None:
        try:
            match entry["kind"]:
                case "create":
                    self.spreadsheets[entry["id"]] = changes.created(entry)
                case "copy":
                    source = self.spreadsheets[entry["source"]]
                    self.spreadsheets[entry["id"]] = changes.copied(source, entry, self.switches)
                case "delete":
                    self.spreadsheets.pop(entry["id"], None)
                case "switches":
                    self.switches = DEFAULT.changed(entry["answers"])
                case kind:
                    found = self.spreadsheets[entry["id"]]
                    self.spreadsheets[found.id], _ = changes.apply(
                        found, kind, self._resolved(kind, entry), self.switches
                    )
        except (ApiError, KeyError, ValueError) as error:
            raise ReplayError(
                "The spreadsheets that were kept cannot be read: another version of the emulator wrote them. "
                "Delete the emulator's data folder to begin anew."
            ) from error
