"""The processor `content_analysis`: it flags, and never refuses.

Its result holds places and no text:

    {"flagged": bool, "score": share of the words that were flagged, 0 to 1,
     "spans": {field: [{"start": int, "end": int, "list": language or "denied"}]},
     "languages": [...], "version": "glin-profanity 4.1.0", "truncated": bool}

and, where it was asked for, "sentiment": from -1 to 1. Places count characters (code points). An answer within others
is named by its path, such as `children.0.name`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.streams.builtin.content_analysis.config import ContentAnalysisConfig
from apps.streams.builtin.content_analysis.words import VERSION, Words
from apps.streams.contract import Processor, Submission
from formhub.core.clock import Clock, SystemClock

# A thousand characters take some 20 ms, so that these bounds stay below each other.
TEXT_MAX, ALL_MAX = 10_000, 30_000
BUDGET_SECONDS = 1.0


class ContentAnalysis(Processor):
    name, label = "content_analysis", gettext_lazy("Content analysis")  # type: ignore[assignment]
    description = gettext_lazy("Flags slang and words of your own lists. It never refuses a submission.")  # type: ignore[assignment]
    Config = ContentAnalysisConfig

    def __init__(self, config: Mapping[str, Any], clock: Clock | None = None) -> None:
        super().__init__(config)
        self._clock = clock or SystemClock()
        self._words = Words(config["languages"], config["allow"], config["deny"])

    def process(self, submission: Submission) -> Mapping[str, Any]:
        end = self._clock.monotonic() + BUDGET_SECONDS
        left, looked_at, truncated = ALL_MAX, 0, False
        spans: dict[str, list[dict[str, Any]]] = {}
        scores: list[float] = []
        for field, text in self._texts(submission.answers):
            shown = text[: min(TEXT_MAX, left)] if self._clock.monotonic() < end else ""
            truncated |= len(shown) < len(text)
            left -= len(shown)
            looked_at += len(shown.split())
            if found := self._words.find(shown):
                spans[field] = [{"start": span.start, "end": span.end, "list": span.list} for span in found]
            if shown and self.config.get("sentiment"):
                scores.append(self._sentiment.polarity_scores(shown)["compound"])
        flagged = sum(map(len, spans.values()))
        return {
            "flagged": bool(flagged),
            "score": round(min(1.0, flagged / looked_at), 3) if looked_at else 0.0,
            "spans": spans,
            "languages": self.config["languages"],
            "version": VERSION,
            "truncated": truncated,
            **({"sentiment": round(sum(scores) / len(scores), 3)} if scores else {}),
        }

    @classmethod
    def describe(cls, result: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        places = {
            field: ", ".join(f"{span['start'] + 1}-{span['end']} ({span['list']})" for span in found)
            for field, found in result["spans"].items()
        }
        return [
            (_("Flagged"), _("Yes") if result["flagged"] else _("No")),
            (_("Share of flagged words"), f"{result['score']:.1%}"),
            *((_("Characters in %(field)s") % {"field": field}, text) for field, text in places.items()),
            *([(_("Sentiment"), f"{result['sentiment']:+.2f}")] if "sentiment" in result else []),
            (_("Languages"), ", ".join(result["languages"])),
            *([(_("Looked at"), _("The beginning: the answers are very long."))] if result["truncated"] else []),
        ]

    @cached_property
    def _sentiment(self) -> Any:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # an extra: off where it is not there

        return SentimentIntensityAnalyzer()

    def _texts(self, answers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        only = set(self.config.get("fields_only") or answers)
        for key in answers:
            if key in only:
                yield from _within(key, answers[key])


def _within(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _within(f"{path}.{key}", child)
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _within(f"{path}.{number}", child)
