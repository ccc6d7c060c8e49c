"""What is looked for, and in which answers."""

from importlib.util import find_spec
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.streams.builtin.content_analysis.words import LANGUAGES

LINES_MAX, LINE_MAX = 500, 100
SENTIMENT = "vaderSentiment"


class Lines(forms.CharField):
    """A list, one entry on each line; kept as a list."""

    widget = forms.Textarea(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        lines = [line.strip() for line in super().clean(value).splitlines() if line.strip()]
        if len(lines) > LINES_MAX or any(len(line) > LINE_MAX for line in lines):
            raise ValidationError(
                _("At most %(lines)d lines of %(length)d characters.") % {"lines": LINES_MAX, "length": LINE_MAX}
            )
        return list(dict.fromkeys(lines))


class ContentAnalysisConfig(forms.Form):
    languages = forms.MultipleChoiceField(
        label=gettext_lazy("Languages"),
        choices=[(name, name.capitalize()) for name in LANGUAGES],
        initial=["english"],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Those in which the form is answered: a word of one language is slang in another. Each takes time."
        ),
    )
    allow = Lines(
        label=gettext_lazy("Words to allow"),
        required=False,
        help_text=gettext_lazy("One on each line. They are never flagged: names, technical terms."),
    )
    deny = Lines(
        label=gettext_lazy("Words to flag"),
        required=False,
        help_text=gettext_lazy("One on each line, beside those of the languages' own lists."),
    )
    fields_only = Lines(
        label=gettext_lazy("Only these questions"),
        required=False,
        help_text=gettext_lazy("Their keys, one on each line. Empty: every answer that is text."),
    )
    sentiment = forms.BooleanField(
        label=gettext_lazy("Sentiment"),
        required=False,
        help_text=gettext_lazy("From -1 (negative) to 1, for answers in English alone."),
    )

    def clean_sentiment(self) -> bool:
        wanted: bool = self.cleaned_data["sentiment"]
        if wanted and find_spec(SENTIMENT) is None:
            raise ValidationError(
                _("The package %(name)s is not installed on this server: install it, or leave this off.")
                % {"name": SENTIMENT}
            )
        return wanted

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("sentiment") and "english" not in cleaned.get("languages", ["english"]):
            self.add_error("sentiment", _("Only English has a sentiment here: choose it, or leave this off."))
        return cleaned
