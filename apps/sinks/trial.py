"""The "Test" button: try an action's settings without touching a submission."""

import logging
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.sinks import config
from apps.sinks.contract import ConfigurationError, Context, DeliveryError
from apps.sinks.models import Binding
from apps.sinks.registry import UnknownKindError, registry
from formhub.core.secrets import SecretUnreadableError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    works: bool
    message: str


def test(binding: Binding) -> Outcome:
    """What the kind found, in words for the owner of the form. Calls the outside service."""
    try:
        kind = registry.get(binding.kind)
        settings = config.stored(binding.config, binding.secrets)
        return Outcome(True, kind(settings.opened, Context(binding.organization_id)).check())
    except ConfigurationError as error:
        return Outcome(False, f"{error} {error.remedy}".strip())
    except (DeliveryError, UnknownKindError, SecretUnreadableError) as error:
        return Outcome(False, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a plug-in raises, the page must answer
        logger.error("test of action %s: %s", binding.pk, type(error).__name__)
        return Outcome(False, _("The test failed unexpectedly (%(kind)s).") % {"kind": type(error).__name__})
