"""What respondents read is there in every language that we speak."""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent.parent
CATALOGS = sorted((ROOT / "locale").glob("*/LC_MESSAGES/django.po"))
READ_BY_RESPONDENTS = (
    *sorted((ROOT / "templates" / "intake").glob("*.html")),
    *sorted((ROOT / "templates" / "sinks").glob("*.html")),
    *(ROOT / "templates" / name for name in ("404.html", "500.html")),
    *sorted((ROOT / "apps" / "forms" / "templates" / "forms" / "fields").glob("*.html")),
    *sorted((ROOT / "apps" / "intake" / "pages").glob("*.py")),
    ROOT / "apps" / "intake" / "endings.py",
    *sorted((ROOT / "apps" / "forms" / "fields").glob("*.py")),
    ROOT / "apps" / "forms" / "schema.py",
)
MARKERS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext"}


def said(path: Path) -> Iterator[str]:
    """The texts of a file that are marked for translation."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        # As Django's own makemessages reads a template: calls of gettext between what is blotted out.
        yield from re.findall(r"gettext\(u?(?:'|\")(.*?)(?:'|\")\)", templatize(source))
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKERS:
            text = node.args[0]
            if isinstance(text, ast.Constant):
                yield str(text.value)


def compiled(po: Path) -> gettext.GNUTranslations:
    with po.with_suffix(".mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def messages(po: Path) -> dict[str, str]:
    """The catalog as it is written, plurals left out."""
    blocks = re.split(r"\n\n+", po.read_text(encoding="utf-8"))
    pairs = {}
    for block in blocks:
        if "msgid_plural" not in block and (found := re.search(r'msgid ((?:".*"\s*)+)msgstr ((?:".*"\s*)+)', block)):
            id, text = (ast.literal_eval("(" + part + ")") for part in found.groups())
            pairs[id] = text
    return pairs


def test_there_is_a_catalog_for_each_language_but_that_of_the_source() -> None:
    spoken = {code for code, _name in settings.LANGUAGES} - {settings.LANGUAGE_CODE}
    assert {po.parent.parent.name for po in CATALOGS} == spoken


@pytest.mark.parametrize("po", CATALOGS, ids=lambda po: po.parent.parent.name)
def test_every_text_is_translated(po: Path) -> None:
    catalog = compiled(po)._catalog  # type: ignore[attr-defined]
    texts = {text for path in READ_BY_RESPONDENTS for text in said(path)}

    assert {"There is a problem", "Answer this question.", "in %(number)s second"} <= texts
    assert {text for text in texts if text not in catalog and (text, 0) not in catalog} == set()


@pytest.mark.parametrize("po", CATALOGS, ids=lambda po: po.parent.parent.name)
def test_what_is_compiled_is_what_is_written(po: Path) -> None:
    known, written = compiled(po), messages(po)

    assert len(written) > 100
    assert {id: known.gettext(id) for id in written} == written


@pytest.mark.parametrize("po", CATALOGS, ids=lambda po: po.parent.parent.name)
def test_a_translation_has_the_gaps_of_its_text(po: Path) -> None:
    gaps = re.compile(r"%\(\w+\)s")
    odd = [id for id, text in messages(po).items() if id and sorted(gaps.findall(id)) != sorted(gaps.findall(text))]
    assert odd == []
