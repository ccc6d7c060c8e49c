from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Settings
from apps.forms.fields.scale import END_LABELS, Scale


class Nps(Scale):
    """How likely somebody is to recommend it: 0 to 10, as the net promoter score counts."""

    name = "nps"
    label = gettext_lazy("Net promoter score")
    lowest = 0
    settings = END_LABELS

    def end_label(self, name: str, settings: Settings, language: str) -> str:
        usual = _("Not at all likely") if name == "min_label" else _("Extremely likely")
        return super().end_label(name, settings, language) or usual
