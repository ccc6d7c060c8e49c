"""Two definitions compared, in words: what was added, removed, moved and changed from the first to the second.

Fields are known by their keys, which stay for ever; so a changed question is told from another one.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.forms import document, fields
from apps.forms.fields import text

WORDS_MAX = 80
_MEMBERS = ("type", "title", "label", "help", "required", "settings")


@dataclass(frozen=True, slots=True)
class Change:
    """`what`: added, removed, moved or changed. `key`: the field's, empty for the form itself. `member`: what of it
    changed, as label or settings.max. before and after: as they stand in the two definitions.
    """

    what: str
    key: str
    member: str
    words: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class _Member:
    body: Mapping[str, Any]
    type: str
    inside: str
    order: int


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    old, new = _members(before), _members(after)
    language = _languages(after)[0]
    found = [*_of_form(before, after)]
    found += [_added(key, new[key], language) for key in new if key not in old]
    found += [_removed(key, old[key], _languages(before)[0]) for key in old if key not in new]
    kept = [key for key in new if key in old]
    moved = _moved(kept, old, new)
    for key in kept:
        found += _of_member(key, old[key], new[key], language)
        if key in moved:
            name = _name(new[key], key, language)
            found.append(Change("moved", key, "", _("Moved %(name)s to another place.") % {"name": name}))
    return found


def _members(body: Mapping[str, Any]) -> dict[str, _Member]:
    keys: dict[str, str] = {}
    found: dict[str, _Member] = {}
    for order, member in enumerate(document.members(body)):
        keys[member.path] = member.key
        inside = keys.get(member.path.rpartition(".elements[")[0], "")
        found[member.key] = _Member(member.body, member.type, inside, order)
    return found


def _languages(body: Mapping[str, Any]) -> list[str]:
    return list(body.get("languages", ["en"]))


def _of_form(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    if before["title"] != after["title"]:
        words = _("The title is now %(title)s.") % {"title": _quoted(after["title"])}
        yield Change("changed", "", "title", words, before["title"], after["title"])
    if _languages(before) != _languages(after):
        words = _("The languages are now %(names)s.") % {"names": ", ".join(_languages(after))}
        yield Change("changed", "", "languages", words, _languages(before), _languages(after))
    if before.get("endings", []) != after.get("endings", []):
        words = _("What people read after sending has changed.")
        yield Change("changed", "", "endings", words, before.get("endings", []), after.get("endings", []))


def _added(key: str, member: _Member, language: str) -> Change:
    words = _("Added %(name)s (%(type)s).") % {"name": _name(member, key, language), "type": _type(member.type)}
    return Change("added", key, "", words, None, _body(member))


def _removed(key: str, member: _Member, language: str) -> Change:
    words = _("Removed %(name)s (%(type)s).") % {"name": _name(member, key, language), "type": _type(member.type)}
    return Change("removed", key, "", words, _body(member), None)


def _body(member: _Member) -> dict[str, Any]:
    return {name: value for name, value in member.body.items() if name != "elements"}


def _moved(kept: list[str], old: Mapping[str, _Member], new: Mapping[str, _Member]) -> set[str]:
    """Those inside something else than before, and the fewest of the others that explain the new order."""
    elsewhere = {key for key in kept if old[key].inside != new[key].inside}
    stayed = [key for key in kept if key not in elsewhere]
    return elsewhere | set(stayed) - set(_longest_rising(stayed, [old[key].order for key in stayed]))


def _longest_rising(keys: list[str], orders: list[int]) -> list[str]:
    best: list[tuple[int, int | None]] = []  # length of the longest run that ends here, and the one before
    for number, order in enumerate(orders):
        runs = ((best[other][0], other) for other in range(number) if orders[other] < order)
        length, other = max(runs, default=(0, None), key=lambda run: run[0])
        best.append((length + 1, other))
    at: int | None = max(range(len(best)), key=lambda number: best[number][0], default=None)
    found: list[str] = []
    while at is not None:
        found.append(keys[at])
        at = best[at][1]
    return found


def _of_member(key: str, old: _Member, new: _Member, language: str) -> Iterator[Change]:
    name = _name(new, key, language)
    for member in _MEMBERS:
        before = old.type if member == "type" else old.body.get(member)
        after = new.type if member == "type" else new.body.get(member)
        if member == "settings":
            yield from _of_settings(key, name, old.body.get("settings", {}), new.body.get("settings", {}))
        elif (before or None) != (after or None):
            words = _sentence(member, _name(old, key, language), name, new, after, language)
            yield Change("changed", key, member, words, before, after)


def _sentence(member: str, was: str, name: str, new: _Member, after: Any, language: str) -> str:
    if member == "required":
        return (_("%(name)s must be answered now.") if after else _("%(name)s may be left empty now.")) % {"name": name}
    if member == "type":
        return _("%(name)s is now of the type %(type)s.") % {"name": name, "type": _type(new.type)}
    if member == "help":
        return _("The hint of %(name)s has changed.") % {"name": name}
    if was != name:
        return _("%(was)s now reads %(name)s.") % {"was": was, "name": name}
    return _("The words of %(name)s have changed in another language.") % {"name": name}


def _of_settings(key: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for setting in dict.fromkeys([*before, *after]):
        if before.get(setting) == after.get(setting):
            continue
        facts = {"name": name, "setting": setting, "value": _short(after.get(setting))}
        words = (
            _("%(name)s: %(setting)s is now %(value)s.") if setting in after else _("%(name)s: %(setting)s is gone.")
        )
        yield Change("changed", key, f"settings.{setting}", words % facts, before.get(setting), after.get(setting))


def _name(member: _Member, key: str, language: str) -> str:
    words = member.body.get("title" if member.type == "page" else "label", "")
    return _quoted(text(words, language) or key)


def _type(name: str) -> str:
    return str(fields.get(name).label) if name in fields.TYPES else name


def _quoted(words: str) -> str:
    return f"“{words[:WORDS_MAX]}”" if len(words) <= WORDS_MAX else f"“{words[:WORDS_MAX]}…”"


def _short(value: Any) -> str:
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return written if len(written) <= WORDS_MAX else f"{written[:WORDS_MAX]}…"
