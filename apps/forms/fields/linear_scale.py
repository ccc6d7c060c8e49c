from django.utils.translation import gettext_lazy

from apps.forms.fields.scale import END_LABELS, Scale


class LinearScale(Scale):
    """A number between two ends that the owner names."""

    name = "linear_scale"
    label = gettext_lazy("Linear scale")
    settings = {
        "min": {
            "type": "integer",
            "minimum": 0,
            "maximum": 1,
            "default": 1,
            "title": "Lowest",
            "description": "Where the scale begins: 0 or 1.",
        },
        "max": {
            "type": "integer",
            "minimum": 2,
            "maximum": 10,
            "default": 5,
            "title": "Highest",
            "description": "Where the scale ends: 2 to 10.",
        },
        **END_LABELS,
    }
