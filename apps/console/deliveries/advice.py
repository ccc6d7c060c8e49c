"""What to do about a trouble, by its code."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

_REMEDIES = {
    "retryable": gettext_noop("Nothing: it is tried again by itself, ever more rarely."),
    "ambiguous": gettext_noop("Nothing: the service may have taken it. It is tried again by itself."),
    "configuration": gettext_noop("Mend what the action's settings say, or what they lead to, then resume the action."),
    "gave_up": gettext_noop("Every try failed. Find out what the service lacked, then try these again."),
    "outcome_unknown": gettext_noop("They may have arrived. Look there first; try again only those that are missing."),
    "unexpected": gettext_noop("The action itself failed. Try again; if it fails again, tell whoever runs FormHub."),
    "condition": gettext_noop("Mend the action's condition, then try these again."),
    "divided": gettext_noop("Nothing: it was divided, and its parts went on in other deliveries."),
    "replayed": gettext_noop("Nothing: somebody asked for it once more."),
}


def remedy(code: str) -> str:
    """Empty where there is no trouble."""
    if not code:
        return ""
    known = _REMEDIES.get(code)
    return (
        _(known) if known else _("The service refuses it. Mend what it names, there or in the action, and try again.")
    )
