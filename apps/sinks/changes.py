"""A change of an action as people make it, in the admin and over the API: what is done, and what the trail says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.orgs import audit
from apps.sinks import actions, config
from apps.sinks.config import Settings
from apps.sinks.models import Binding
from apps.sinks.positions import log_end, since
from apps.sinks.registry import registry
from formhub.core.secrets import SecretUnreadableError


@dataclass(frozen=True, slots=True)
class Verb:
    """Something to do with an action; `recorded`: what the trail says."""

    act: Callable[[Binding], object]
    recorded: str


VERBS: Mapping[str, Verb] = {
    "pause": Verb(lambda binding: actions.pause(binding, _("Paused by hand.")), "paused"),
    "resume": Verb(actions.resume, "resumed"),
    "off": Verb(lambda binding: actions.switch_off(binding, log_end(binding.form_id)), "switched off"),
    "on": Verb(lambda binding: actions.switch_on(binding, log_end(binding.form_id)), "switched on"),
    "fill": Verb(lambda binding: actions.back_fill(binding, since(binding.form_id, None)), "back-filled"),
    "fill_later": Verb(lambda binding: actions.pause_back_fill(binding, paused=True), "back-fill paused"),
    "fill_on": Verb(lambda binding: actions.pause_back_fill(binding, paused=False), "back-fill resumed"),
}
PLAIN = ("name", "flush_seconds", "condition", "selection")


def present(binding: Binding) -> Settings:
    """Without the secrets where no key opens them: they have to be entered again."""
    try:
        return config.stored(binding.config, binding.secrets)
    except SecretUnreadableError:
        return Settings(dict(binding.config), {})


def change(binding: Binding, wanted: Mapping[str, Any], settings: Settings | None) -> dict[str, Any]:
    """Does what differs from the action as it is stored, and says what did; secrets only that they did.

    `wanted` has those of PLAIN that are meant; settings: None where they stay. Raises actions.DestinationTakenError.
    """
    before = Binding.objects.get(pk=binding.pk)
    present_settings = present(before)
    plain = {name: getattr(before, name) for name in PLAIN}
    changes = audit.differences(plain, {name: value for name, value in wanted.items() if name in PLAIN})
    own = [name for name in ("name", "flush_seconds", "selection") if name in changes]
    for name in own:
        setattr(binding, name, wanted[name])
    if own:
        binding.save(update_fields=[*own, "updated_at"])
    if "condition" in changes:
        actions.set_condition(binding, wanted["condition"], log_end(binding.form_id))
    if settings is not None and settings != present_settings:
        changes |= audit.differences(before.config, settings.config)
        if settings.secrets != present_settings.secrets:
            changes["secrets"] = ["hidden", "hidden"]
        actions.configure(binding, registry.get(binding.kind), settings)
    return changes
