"""One page for an action: what every action has, and the settings of its kind."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.orgs import access
from apps.orgs.access import Actor, Right
from apps.orgs.plugin_forms import PREFIX, add_errors, themed
from apps.sinks import actions, config, fitting
from apps.sinks.admin.selection_field import SelectionField
from apps.sinks.config import Settings
from apps.sinks.contract import Sink
from apps.sinks.models import Binding
from formhub.core import logic


class ConditionField(forms.JSONField):
    """JSON in which nothing is written as nothing."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


class ActionForm(forms.ModelForm[Binding]):
    """The settings' inputs stand beside the others under names of their own; the kind's form validates them."""

    kind: ClassVar[type[Sink] | None] = None
    current: ClassVar[Settings | None] = None
    actor: ClassVar[Actor] = Actor()

    class Meta:
        model = Binding
        fields = ("form", "name", "flush_seconds", "condition")
        field_classes: ClassVar = {"condition": ConditionField}
        help_texts = {
            "condition": gettext_lazy(
                'Only submissions that meet it are delivered. JsonLogic, for example {"==": [{"var": "country"}, '
                '"DE"]}. Empty: all.'
            ),
            "flush_seconds": gettext_lazy("Empty: as the kind does it. Submissions may wait this long for others."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings: Settings | None = None
        if self.current is not None:
            self.initial.update({f"{PREFIX}-{name}": value for name, value in self.current.config.items()})

    @property
    def has_kind(self) -> bool:
        """For templates, which would call a class to look at it."""
        return self.kind is not None

    def clean_form(self) -> Any:
        form = self.cleaned_data["form"]
        if not access.allowed(self.actor, form.organization_id, Right.EDIT):
            raise ValidationError(_("You may not change the actions of this form."))
        return form

    def clean_flush_seconds(self) -> float | None:
        seconds: float | None = self.cleaned_data["flush_seconds"]
        if seconds is not None and not 0 < seconds <= 3600:
            raise ValidationError(_("Between 0 and 3600 seconds."))
        return seconds

    def clean_condition(self) -> Any:
        condition = self.cleaned_data["condition"]
        if condition in (None, "", {}):
            return None
        try:
            logic.check(condition)
        except logic.ConditionError as error:
            raise ValidationError(_("This is no condition: %(why)s.") % {"why": error}) from None
        return condition

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.kind is not None:
            self._clean_settings(self.kind)
        return cleaned

    def _clean_settings(self, kind: type[Sink]) -> None:
        form = config.validated(kind, self.data, self.current, PREFIX)
        add_errors(self, form)
        if not form.errors:
            self.settings = config.settings_of(kind, form)
            self._check_destination(kind, self.settings)
            self._check_fit(kind, self.settings)
        # The page may be shown again, and a secret must not be: not even one that was just sent.
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        for name in config.secret_names(kind):
            data.pop(f"{PREFIX}-{name}", None)
        self.data = data

    def _check_destination(self, kind: type[Sink], settings: Settings) -> None:
        form = self.cleaned_data.get("form")
        organization = form.organization_id if form else self.instance.organization_id
        if organization is None:
            return
        try:
            actions.check_destination(organization, kind, settings)
        except actions.DestinationTakenError as error:
            self.add_error(None, str(error))

    def _check_fit(self, kind: type[Sink], settings: Settings) -> None:
        form = self.cleaned_data.get("form")
        form_id = form.pk if form else self.instance.form_id
        selection = self.cleaned_data.get("selection", self.instance.selection)
        for name, message in (fitting.misfits(kind, settings, form_id, selection) if form_id else {}).items():
            self.add_error(f"{PREFIX}-{name}", message)


def action_form(
    kind: type[Sink] | None, current: Settings | None, actor: Actor, selection: SelectionField | None = None
) -> type[ActionForm]:
    """The form for an action of a kind; without one (its package was removed) only what every action has.

    selection: None where nothing is known of the fields to choose from.
    """
    fields = config.blank(kind, current).fields if kind else {}
    inputs: dict[str, Any] = {f"{PREFIX}-{name}": themed(field) for name, field in fields.items()}
    if selection is not None:
        inputs["selection"] = selection
    return type("ActionForm", (ActionForm,), {**inputs, "kind": kind, "current": current, "actor": actor})


def setting_names(kind: type[Sink] | None) -> list[str]:
    """In the order in which the kind's form shows them."""
    return [f"{PREFIX}-{name}" for name in config.blank(kind).fields] if kind else []
