"""What the owner of an action should see to before it becomes trouble, as its kind says; nothing is called."""

from apps.sinks import config
from apps.sinks.models import Binding
from apps.sinks.registry import UnknownKindError, registry
from formhub.core.secrets import SecretUnreadableError


def of(binding: Binding) -> list[str]:
    try:
        kind = registry.get(binding.kind)
        settings = config.stored(binding.config, binding.secrets)
    except (UnknownKindError, SecretUnreadableError):
        return []  # a delivery meets the same, and pauses the action
    return [str(text) for text in kind.notices(settings.opened, binding.destination.state)]
