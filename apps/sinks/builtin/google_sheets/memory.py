"""What the sink knows of a spreadsheet: its tabs, which column holds which field, and the markers of past batches.

Kept in the destination's state between calls. Losing it costs a look at the spreadsheet, never a row.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from typing import Any

KEY = "formhub"  # of our metadata: markers on the spreadsheet, the worksheet's name on its tab, fields on columns
NEXT = "formhub-next"  # on a tab: the spreadsheet that its last row leads to
ID, ACCEPTED_AT = "_id", "_accepted_at"
CELLS_MAX = 10_000_000
NEARLY_FULL, FULL = 0.80, 0.95
# Of the 30,000 characters that a tab's metadata may take, 600 tags of this length leave half.
TAG_LENGTH = 24
FIELDS = (
    "properties(title,timeZone),developerMetadata(metadataId,metadataKey,metadataValue),"
    "sheets(properties(sheetId,title,gridProperties(rowCount,columnCount)),developerMetadata(metadataKey,metadataValue),"
    "basicFilter.range,"
    "data.columnMetadata.developerMetadata(metadataKey,metadataValue))"
)


@dataclass
class Tab:
    """names: the worksheets of the settings that it is the tab of. tags: field -> column, counted from 0.

    written: field -> (header that we wrote last, form it was for). filtered: a filter may hide rows for everybody.
    next: the spreadsheet that the tab leads on to.
    """

    title: str
    columns: int
    rows: int = 1
    names: list[str] = field(default_factory=list)
    tags: dict[str, int] = field(default_factory=dict)
    written: dict[str, tuple[str, str]] = field(default_factory=dict)
    filtered: bool = False
    next: str = ""

    @property
    def width(self) -> int:
        """How many columns a row of ours reaches over."""
        return max(self.tags.values(), default=-1) + 1

    @property
    def deleted(self) -> set[str]:
        """Fields whose column was there and is gone: somebody deleted it."""
        return self.written.keys() - self.tags.keys() - {ID}


@dataclass
class Memory:
    """homes: worksheet of the settings -> id of its tab, so that a tab may be renamed. shift: how far markers are
    ahead of the ledger's sequence. Times are in seconds since 1970.

    read_at: when the spreadsheet was last looked at. doubt: what was accepted before may stand there without the
    ledger's knowing. barred: accounts that were refused, and when. month: the one in which we began to write to it.
    """

    read_at: float = 0.0
    title: str = ""
    zone: str = ""
    tabs: dict[int, Tab] = field(default_factory=dict)
    homes: dict[str, int] = field(default_factory=dict)
    markers: dict[int, str] = field(default_factory=dict)
    shift: int = 0
    doubt: float = 0.0
    barred: dict[str, float] = field(default_factory=dict)
    month: str = ""

    @property
    def cells(self) -> int:
        return sum(tab.columns * tab.rows for tab in self.tabs.values())

    @property
    def used(self) -> float:
        """The part of the cells that a spreadsheet may have."""
        return self.cells / CELLS_MAX

    def saw(self, found: Mapping[str, Any], now: float) -> None:
        """Take over what `spreadsheets.get` with FIELDS answered; what only we know of a tab is kept."""
        properties = found.get("properties", {})
        self.title, self.zone = properties.get("title", ""), properties.get("timeZone", "")
        tabs = [_tab(sheet) for sheet in found.get("sheets", [])]
        for number, tab in tabs:
            if number in self.tabs:
                tab.written = self.tabs[number].written
        self.tabs = dict(tabs)
        ours = [entry for entry in found.get("developerMetadata", []) if entry.get("metadataKey") == KEY]
        self.markers = {int(entry["metadataId"]): entry.get("metadataValue", "") for entry in ours}
        self.read_at = now

    def home(self, worksheet: str) -> int | None:
        """The id of the tab that a worksheet of the settings means; None if there is none yet."""
        name, title = name_of(worksheet), worksheet.casefold()
        if name in self.homes:
            return self.homes[name]
        named = (number for number, tab in self.tabs.items() if name in tab.names)
        titled = (number for number, tab in self.tabs.items() if tab.title.casefold() == title)
        return next(named, next(titled, None))

    def deleted_labels(self, worksheet: str) -> list[str]:
        """The headers of the worksheet's columns that people deleted."""
        tab = self.tabs.get(-1 if (home := self.home(worksheet)) is None else home)
        return sorted(tab.written[tag][0] for tag in tab.deleted) if tab else []

    def forgive(self, before: float) -> None:
        """Accounts that were refused longer ago are tried again."""
        self.barred = {email: at for email, at in self.barred.items() if at > before}

    def forget_lost_homes(self) -> None:
        self.homes = {name: number for name, number in self.homes.items() if number in self.tabs}

    def copy(self) -> "Memory":
        return load(self.as_json())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def store(self, state: MutableMapping[str, Any]) -> None:
        state.clear()
        state.update(self.as_json())


_STORED = [each.name for each in fields(Memory)]


def load(state: Mapping[str, Any]) -> Memory:
    """From what `store` left; an empty memory from anything else."""
    try:
        tabs = {int(number): _stored_tab(tab) for number, tab in state["tabs"].items()}
        markers = {int(number): str(value) for number, value in state["markers"].items()}
        return Memory(**{**{name: state[name] for name in _STORED}, "tabs": tabs, "markers": markers})
    except (KeyError, TypeError, ValueError, AttributeError):
        return Memory()


def name_of(worksheet: str) -> str:
    """What a tab's metadata says of the worksheet that it is: titles are the same in large and small letters."""
    return tag_of(worksheet.casefold())


def tag_of(key: str) -> str:
    """What a column's tag says of its field; a long key is told apart by its digest."""
    if len(key) <= TAG_LENGTH:
        return key
    return f"{key[:7]}~{sha256(key.encode()).hexdigest()[:16]}"


def _tab(sheet: Mapping[str, Any]) -> tuple[int, Tab]:
    properties = sheet["properties"]
    grid = properties.get("gridProperties", {})  # a tab that is one chart has no grid
    tab = Tab(properties["title"], grid.get("columnCount", 0), grid.get("rowCount", 0), _ours(sheet))
    tab.filtered = "basicFilter" in sheet
    tab.next = next(iter(_ours(sheet, NEXT)), "")
    columns = [column for data in sheet.get("data", []) for column in data.get("columnMetadata", [])]
    for index, column in enumerate(columns):
        for tag in _ours(column):
            tab.tags.setdefault(tag, index)
    return properties.get("sheetId", 0), tab


def _ours(place: Mapping[str, Any], key: str = KEY) -> list[str]:
    entries = place.get("developerMetadata", [])
    return [entry.get("metadataValue", "") for entry in entries if entry.get("metadataKey") == key]


def _stored_tab(tab: Mapping[str, Any]) -> Tab:
    written = {name: (str(label), str(form)) for name, (label, form) in tab["written"].items()}
    plain = {name: tab[name] for name in ("title", "columns", "rows", "filtered", "next")}
    return Tab(names=list(tab["names"]), tags=dict(tab["tags"]), written=written, **plain)
