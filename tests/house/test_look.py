"""The tokens of the look: every pair that meets on a page can be told apart, in both themes."""

import hashlib
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parent.parent.parent / "static"
CSS = (STATIC / "formhub" / "formhub.css").read_text()
VENDORED = {"chart.js/chart.umd.min.js": "84d0e233daba702b8f77d669d8c137cad36d441a10f200b6f2d3ab553bdfcf6b"}
PAIRS = {
    **{("text", behind): 7.0 for behind in ("page", "surface")},
    **{
        (front, behind): 4.5
        for front in ("quiet", "accent", "success", "warning", "danger")
        for behind in ("page", "surface")
    },
    ("accent-text", "accent"): 4.5,
    **{("outline", behind): 3.0 for behind in ("page", "surface")},
}


def tokens(theme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2]
    declared = re.compile(r"--([a-z-]+): (#[0-9a-f]{6});")
    return dict(declared.findall(light)) | (dict(declared.findall(dark)) if theme == "dark" else {})


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("pair", PAIRS, ids="-on-".join)
def test_colours_that_meet_can_be_told_apart(theme: str, pair: tuple[str, str]) -> None:
    colours = tokens(theme)
    assert contrast(colours[pair[0]], colours[pair[1]]) >= PAIRS[pair]


@pytest.mark.parametrize("name", VENDORED)
def test_a_vendored_file_is_the_one_that_was_taken(name: str) -> None:
    assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == VENDORED[name]
