"""The settings of both kinds, and what in them does not fit a form."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.email.addresses import AddressUnusableError, parse
from apps.sinks.builtin.email.letter import SUBJECT_MAX
from apps.sinks.builtin.wording import placeholders, values
from apps.sinks.builtin.wording.values import PLAIN
from formhub.core.layout import Layout

RECIPIENTS_MAX = 20
TEXT_MAX = 10_000
WRITTEN = ("subject", "text")  # the settings that placeholders may stand in


class AddressesField(forms.CharField):
    """Addresses, one a line; the value is what mail servers are given, one a line."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})

    def clean(self, value: Any) -> str:
        found = []
        for number, line in enumerate(filter(None, map(str.strip, super().clean(value).splitlines())), 1):
            try:
                found.append(parse(line))
            except AddressUnusableError:
                message = _("Line %(number)d is not one e-mail address. Give each a line of its own, without a name.")
                raise ValidationError(message % {"number": number}) from None
        if len(found) > RECIPIENTS_MAX:
            raise ValidationError(_("Give at most %(count)d addresses.") % {"count": RECIPIENTS_MAX})
        return "\n".join(dict.fromkeys(found))


class AddressField(forms.CharField):
    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        try:
            return parse(text) if text else ""
        except AddressUnusableError:
            raise ValidationError(_("Give one e-mail address, in the form name@example.org.")) from None


class MailConfig(forms.Form):
    """What both kinds ask. The text of either may hold placeholders, and nothing else of it is read."""

    subject = forms.CharField(label=gettext_lazy("subject"), max_length=SUBJECT_MAX)
    text = forms.CharField(
        label=gettext_lazy("text"),
        max_length=TEXT_MAX,
        widget=forms.Textarea(attrs={"rows": 10}),
        help_text=gettext_lazy(
            "Plain text; an empty line begins a paragraph. {{ form }}, {{ id }} and {{ accepted_at }} are replaced."
        ),
    )

    def clean_subject(self) -> str:
        subject: str = self.cleaned_data["subject"]
        if not subject.isprintable():
            raise ValidationError(_("A subject is one line of text."))
        return subject

    def named(self) -> Iterator[tuple[str, str]]:
        """Every placeholder of the settings with the setting that it stands in."""
        for setting in WRITTEN:
            for name in placeholders.names(self.cleaned_data.get(setting) or ""):
                yield setting, name


class ConfirmationConfig(MailConfig):
    address_field = forms.CharField(
        label=gettext_lazy("question with the address"),
        max_length=63,
        help_text=gettext_lazy("The key of the question in which people give their e-mail address."),
    )
    answers = forms.BooleanField(
        label=gettext_lazy("repeat answers"),
        required=False,
        help_text=gettext_lazy(
            "Lets {{ answers }} and the key of any question stand in the mail. Nobody has checked whose the address "
            "is: whoever fills in the form may send its answers, with any text, to somebody else."
        ),
    )
    reply_to = AddressField(
        label=gettext_lazy("answers go to"),
        required=False,
        max_length=254,
        help_text=gettext_lazy("An address of yours, for those who answer the mail."),
    )
    field_order = ("address_field", "subject", "text", "answers", "reply_to")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["subject"].initial = "{{ form }}"
        self.fields["text"].initial = _("Thank you. We have received what you sent with the form “{{ form }}”.")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not settings.PUBLIC_URL:
            raise ValidationError(
                _("Recipients could not unsubscribe: ask the operator to set PUBLIC_URL to where people reach us.")
            )
        for setting, name in self.named():
            if name == "link":
                self.add_error(setting, _("{{ link }} leads to a page that only your organization may see. Remove it."))
            elif name not in PLAIN and not cleaned.get("answers"):
                message = _("{{ %(name)s }} would repeat an answer. Remove it, or switch on “repeat answers”.")
                self.add_error(setting, message % {"name": name})
        return cleaned


class NotificationConfig(MailConfig):
    recipients = AddressesField(
        label=gettext_lazy("recipients"),
        max_length=6_000,
        help_text=gettext_lazy("People of your team, one e-mail address a line. Each sees the others."),
    )
    field_order = ("recipients", "subject", "text")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["subject"].initial = "{{ form }}"
        self.fields["text"].initial = "{{ answers }}\n\n{{ link }}"
        self.fields["text"].help_text = _(
            "Plain text; an empty line begins a paragraph. {{ answers }} (all of them), {{ link }}, {{ form }}, "
            "{{ id }}, {{ accepted_at }} and the key of any question, as in {{ name }}, are replaced."
        )


def no_such_question(key: str, layout: Layout) -> str:
    said = _("The form has no question with the key “%(key)s”, or this action does not send it. There is: %(known)s.")
    return said % {"key": key, "known": values.listed([column.key for column in layout.columns])}
