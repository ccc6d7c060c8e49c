"""The demo's data: an organization with an owner, the student form, its Google Sheets action. Repeating is harmless."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.forms import definition
from apps.forms.models import Form
from apps.orgs import keys
from apps.orgs.models import Membership, Organization, Role, User
from apps.sinks import actions, config, positions
from apps.sinks.contract import Sink
from apps.sinks.models import Binding
from apps.sinks.registry import registry
from apps.streams.models import Processing

DOCUMENT = Path(definition.__file__).parent / "samples" / "student_data.json"
WORKSHEET = "Submissions"
SCOPES = ["submit", "read", "manage"]
# A load test comes from one address; a real form keeps the installation's limits.
RATES = {"per_address": "1000000/minute", "per_key": "1000000/minute", "per_form": "1000000/minute"}


def organization(name: str, slug: str) -> Organization:
    return Organization.objects.get_or_create(slug=slug, defaults={"name": name})[0]


@transaction.atomic
def owner(of: Organization, email: str, name: str, password: str) -> User:
    """A person who owns the organization, may sign in to the admin and look at the status page."""
    user, _ = User.objects.get_or_create(email=email, defaults={"name": name})
    if not user.check_password(password):
        user.set_password(password)
    user.is_staff = True
    user.save()
    Membership.objects.update_or_create(organization=of, user=user, defaults={"role": Role.OWNER})
    return user


@transaction.atomic
def student_form(of: Organization, slug: str, title: str) -> Form:
    """The published student form; one that is already live is left as people may have changed it."""
    form, _ = Form.objects.get_or_create(
        organization=of, slug=slug, defaults={"title": title, "region": "IN", "rates": RATES}
    )
    if form.live_id is None:
        document: dict[str, Any] = json.loads(DOCUMENT.read_text())
        definition.load(form, {**document, "title": title})
        definition.publish(form, None)
    return form


def sheet_action(form: Form, spreadsheet: str, flush_seconds: float | None = None) -> Binding:
    """The form's Google Sheets action, with the installation's service account. One that is there moves to the
    spreadsheet, and goes on; all else about it is left as people may have changed it.
    """
    sink = registry.get("google_sheets")
    found = Binding.objects.filter(form=form, kind=sink.name).order_by("pk").first()
    settings = _sheet_settings(sink, spreadsheet, found)
    if found is None:
        return actions.create(
            organization_id=form.organization_id,
            form_id=form.pk,
            sink=sink,
            name="Google Sheet",
            settings=settings,
            position=positions.log_end(form.pk),
            flush_seconds=flush_seconds,
        )
    if found.config["spreadsheet"] != settings.config["spreadsheet"]:
        actions.configure(found, sink, settings)
        actions.resume(found)
    return found


def analysis(form: Form) -> Processing:
    """Slang in the form's answers is flagged; one that is there is left as people may have changed it."""
    settings = {"languages": ["english"], "allow": [], "deny": [], "fields_only": [], "sentiment": False}
    found, _ = Processing.objects.get_or_create(form=form, processor="content_analysis", defaults={"config": settings})
    return found


def _sheet_settings(sink: type[Sink], spreadsheet: str, of: Binding | None) -> config.Settings:
    current = config.stored(of.config, of.secrets) if of else None
    wanted = {"worksheet": WORKSHEET, **(current.config if current else {}), "spreadsheet": spreadsheet}
    return settings_of(sink, wanted, current)


def settings_of(sink: type[Sink], wanted: Mapping[str, Any], current: config.Settings | None = None) -> config.Settings:
    """Raises ValueError with what is wrong."""
    filled = config.validated(sink, wanted, current)
    if not filled.is_valid():
        raise ValueError(f"The settings of {sink.name} are refused: {filled.errors.as_text()}")
    return config.settings_of(sink, filled)


def api_key(of: Organization, former: str) -> str:
    """The token handed out before if it is still good for this organization, else a new one: only its hash is kept."""
    grant = keys.grant(former) if former else None
    if grant is not None and _belongs(grant.organization, of) and set(SCOPES) <= grant.scopes:
        return former
    name = f"Demo, {timezone.now():%Y-%m-%d %H:%M}"
    _, token = keys.create(organization=of, name=name, scopes=SCOPES)
    return token


def _belongs(organization_id: UUID, to: Organization) -> bool:
    return organization_id == to.pk
