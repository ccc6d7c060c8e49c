"""What people see: a list of spreadsheets and a read-only grid of each, clearly labelled as emulated."""

from html import escape
from pathlib import Path
from urllib.parse import quote

from sheets_emulator import a1
from sheets_emulator.model import Sheet, Spreadsheet
from sheets_emulator.render import shown

ROWS_PER_PAGE = 500
POLICY = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"

STYLE = (Path(__file__).parent / "style.css").read_text()


def listing(spreadsheets: list[Spreadsheet]) -> str:
    items = "".join(
        f'<li><a href="/spreadsheets/{quote(found.id)}">{escape(found.title)}</a> '
        f'<span class="note">{sum(sheet.last_row() for sheet in found.sheets):,} rows</span></li>'
        for found in spreadsheets
    )
    body = f"<ul>{items}</ul>" if items else '<p class="empty">No spreadsheet yet.</p>'
    return _page("Emulated spreadsheets", "", body)


def grid(spreadsheet: Spreadsheet, sheet: Sheet, page: int) -> str:
    base = f"/spreadsheets/{quote(spreadsheet.id)}"
    tabs = "".join(
        f'<a href="{base}?tab={each.id}"{" aria-current=page" if each is sheet else ""}>{escape(each.title)}</a>'
        for each in spreadsheet.sheets
    )
    count = sheet.last_row()
    pages = max(1, -(-count // ROWS_PER_PAGE))
    page = min(max(page, 1), pages)
    steps = [(page - 1, "Earlier rows")] if page > 1 else []
    steps += [(page + 1, "Later rows")] if page < pages else []
    links = "".join(f'<a href="{base}?tab={sheet.id}&amp;page={number}">{text}</a>' for number, text in steps)
    nav = f'<nav aria-label="Tabs and pages">{tabs}<span class="note">{count:,} rows</span>{links}</nav>'
    return _page(spreadsheet.title, nav, _table(sheet, (page - 1) * ROWS_PER_PAGE, count))


def chosen(spreadsheet: Spreadsheet, tab: str) -> Sheet:
    """The tab asked for by its id; else the first that holds something."""
    written = next((each for each in spreadsheet.sheets if each.last_row()), spreadsheet.sheets[0])
    return next((each for each in spreadsheet.sheets if str(each.id) == tab), written)


def _table(sheet: Sheet, start: int, count: int) -> str:
    rows = sheet.rows.between(start, min(count, start + ROWS_PER_PAGE))
    if not rows:
        return '<p class="empty">This tab is empty.</p>'
    width = max(map(len, rows))
    head = "".join(f'<th scope="col">{a1.column_name(index)}</th>' for index in range(width))
    lines = "".join(_line(row, start + offset, width) for offset, row in enumerate(rows))
    return (
        '<div class="grid" tabindex="0" role="region" aria-label="Cells"><table>'
        f'<thead><tr><th scope="col"><span aria-hidden="true">#</span></th>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _line(row: tuple[object, ...], number: int, width: int) -> str:
    cells = []
    for index in range(width):
        value = shown(row[index] if index < len(row) else None, "FORMATTED_VALUE", "FORMATTED_STRING")  # type: ignore[arg-type]
        text = escape(str(value))
        kind = ' class="number"' if str(value).replace(".", "", 1).lstrip("-").isdigit() else ""
        cells.append(f'<td{kind} title="{text[:500]}">{text}</td>')
    first = ' class="first"' if number == 0 else ""
    return f'<tr{first}><th scope="row">{number + 1}</th>{"".join(cells)}</tr>'


def _page(title: str, nav: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} (emulated)</title><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="/style.css"></head><body>'
        f'<header><h1>{escape(title)}</h1><p class="note"><span class="tag">Emulated.</span> '
        'A stand-in for Google Sheets on this machine. <a href="/">All spreadsheets</a></p></header>'
        f"<main>{nav}{body}</main></body></html>"
    )
