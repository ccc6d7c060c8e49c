"""An action that mails, the server it mails to, and batches for it: what each test of the kinds begins with."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from pytest_django import Settings

from apps.orgs.models import Organization
from apps.sinks.builtin.email.sink import Confirmation, Mail, Notification
from apps.sinks.builtin.email.tests.server import MailServer
from apps.sinks.conformance import FORM, make_submission
from apps.sinks.contract import Batch, Context, DeliveryError, Part, Submission
from deploy.local.valkey import Valkey
from formhub.core.ids import uuid7
from formhub.core.layout import Column, Kind, Layout

LAYOUT = Layout(
    (Column("name", "Name", Kind.TEXT), Column("count", "Count", Kind.NUMBER), Column("email", "E-mail", Kind.TEXT))
)
TO_RESPONDENTS: dict[str, Any] = {
    "address_field": "email",
    "subject": "{{ form }}",
    "text": "We have it: {{ id }}",
    "answers": False,
    "reply_to": "",
}
TO_TEAM: dict[str, Any] = {
    "recipients": "ann@example.org\nbob@example.org",
    "subject": "New: {{ name }}",
    "text": "{{ answers }}\n\n{{ link }}",
}


@dataclass
class Desk:
    """One organization's actions; `kept` and `state` are what the engine keeps between calls."""

    server: MailServer
    organization: UUID
    state: dict[str, Any] = field(default_factory=dict)
    kept: dict[UUID, bytes] = field(default_factory=dict)

    def sink(self, config: dict[str, Any], context: Context | None = None) -> Mail:
        kind = Confirmation if "address_field" in config else Notification
        return kind(config, context or Context(self.organization, state=self.state))

    def batch(self, submission: Submission, config: dict[str, Any], binding: int = 1) -> Batch:
        id = uuid7()
        part = Part(binding, FORM, "Guests", config, LAYOUT, (submission,), pages="https://forms.example.org/s/")
        return Batch(id, 1, "mail", (part,), keep=lambda body: self.kept.__setitem__(id, body))

    def confirming(self, address: Any, binding: int = 1, name: str = "Ada", **config: Any) -> Batch:
        submission = make_submission(0, email=address, name=name, count=3)
        return self.batch(submission, {**TO_RESPONDENTS, **config}, binding)

    def notifying(self, **config: Any) -> Batch:
        return self.batch(make_submission(0, email="eve@example.com", name="Eve", count=3), {**TO_TEAM, **config})

    def deliver(self, batch: Batch) -> None:
        """As the engine offers it."""
        self.sink(dict(batch.parts[0].config)).deliver(replace(batch, kept=self.kept.get(batch.id)))

    def refused(self, batch: Batch, kind: type[DeliveryError] = DeliveryError) -> Any:
        """The error that a delivery ends with."""
        with pytest.raises(kind) as caught:
            self.deliver(batch)
        return caught.value


@pytest.fixture
def addresses(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://forms.example.org"
    settings.DEFAULT_FROM_EMAIL = "FormHub <hub@forms.example.org>"


@pytest.fixture
def server(settings: Settings, addresses: None) -> Iterator[MailServer]:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_HOST_USER = "127.0.0.1", ""
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    with MailServer().running() as running:
        settings.EMAIL_PORT = running.port
        yield running


@pytest.fixture
def desk(server: MailServer, valkey_service: Valkey, db: None) -> Desk:
    organization = Organization.objects.create(name="Acme", slug="acme")
    return Desk(server, organization.pk)
