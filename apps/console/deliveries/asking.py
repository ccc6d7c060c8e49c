"""What the lists may be asked for, as people type it."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.sinks.listing import STATES, Asked
from apps.sinks.models import Binding

MOMENT = {"type": "datetime-local", "step": "1"}


class Filters(forms.Form):
    """Filled from the address. One that cannot be read is said, and narrows nothing."""

    action = forms.ModelChoiceField(Binding.objects.none(), required=False, label=_("Action"), empty_label=_("All"))
    state = forms.ChoiceField(choices=[("", _("All")), *STATES], required=False, label=_("State"))
    code = forms.CharField(max_length=100, required=False, label=_("Error code"))
    since = forms.DateTimeField(required=False, label=_("From (UTC)"), widget=forms.DateTimeInput(attrs=MOMENT))
    until = forms.DateTimeField(required=False, label=_("Before (UTC)"), widget=forms.DateTimeInput(attrs=MOMENT))
    submission = forms.UUIDField(required=False, label=_("Submission's id"))

    use_required_attribute = False

    def __init__(self, given: Any, bindings: Any, *, states: bool = True) -> None:
        super().__init__(given, auto_id="filter-%s")
        action: Any = self.fields["action"]
        action.queryset = bindings
        if not states:
            del self.fields["state"]
        for field in self.fields.values():
            field.widget.attrs["class"] = "input"
        self.is_valid()

    @property
    def bindings(self) -> list[Binding]:
        """The actions that are meant."""
        chosen = self.cleaned_data.get("action")
        return [chosen] if chosen else list(self.fields["action"].queryset)  # type: ignore[attr-defined]

    @property
    def asked(self) -> Asked:
        given = {name: value for name, value in self.cleaned_data.items() if value and name != "action"}
        return Asked(**given)

    @property
    def narrows(self) -> bool:
        return any(self.cleaned_data.values())

    def address(self, **more: str) -> str:
        """The same list, as a query."""
        kept = {name: self.data[name] for name in self.fields if self.data.get(name) and name in self.cleaned_data}
        return "?" + urlencode({**kept, **more})
