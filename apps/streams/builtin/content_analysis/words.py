"""Finds the words of lists in a text. The only module that knows glin-profanity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import glin_profanity
from glin_profanity import Filter
from glin_profanity.data.dictionary import dictionary

VERSION = f"glin-profanity {glin_profanity.__version__}"
LANGUAGES: tuple[str, ...] = tuple(sorted(dictionary.available_languages))
DENIED = "denied"  # the list of the form's own words


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` up to `end` of a text, and the list that the word is on."""

    start: int
    end: int
    list: str


class Words:
    """The lists of these languages (at least one) and the words to deny, without those to allow."""

    def __init__(self, languages: Sequence[str], allow: Sequence[str], deny: Sequence[str]) -> None:
        lists = {language: dictionary.get_words(language) for language in languages}
        self._lists: Mapping[str, str] = {
            word.lower(): name for name, words in reversed(lists.items()) for word in words
        } | dict.fromkeys((word.lower() for word in deny), DENIED)
        allowed = {word.lower() for word in allow}
        self._filter = Filter(
            {
                "languages": list(languages),
                "custom_words": [word for word in deny if word.lower() not in allowed],
                "ignore_words": sorted(allowed),
                "whitelist": sorted(allowed),
            }
        )

    def find(self, text: str) -> list[Span]:
        """In the order of the text, none within another."""
        # What the filter itself answers says where a word begins and not where it ends ("f.u.c.k").
        hits = self._filter._scanner.scan(text)
        spans = (Span(hit.start, hit.end, self._lists.get(hit.word, DENIED)) for hit in hits)
        found = sorted(spans, key=lambda span: (span.start, -span.end))
        outer: list[Span] = []
        for span in found:
            if not outer or span.start >= outer[-1].end:
                outer.append(span)
        return outer
