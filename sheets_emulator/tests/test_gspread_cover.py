"""Every public method of gspread is driven by a test here, or said to be left out."""

from pathlib import Path

from sheets_emulator.tests import test_gspread_client, test_gspread_spreadsheet, test_gspread_worksheet
from sheets_emulator.tests.covering import COVERED, public

README = Path(__file__).parents[1] / "README.md"
MODULES = (test_gspread_client, test_gspread_spreadsheet, test_gspread_worksheet)


def left_out() -> set[str]:
    """What the README lists, with the reason, as `Class.method`."""
    _, _, section = README.read_text().partition("## Left out of gspread")
    return {name for name in public() if f"`{name}`" in section.partition("\n## ")[0]}


def test_no_public_method_of_gspread_is_neither_tested_nor_left_out() -> None:
    assert MODULES
    assert public() - COVERED - left_out() == set()


def test_what_is_tested_is_there_and_not_left_out() -> None:
    assert public() >= COVERED
    assert left_out() & COVERED == set()
