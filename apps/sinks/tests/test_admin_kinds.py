from importlib.metadata import EntryPoint
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from apps.forms.models import Form
from apps.orgs.models import Membership, Organization, Role, User
from apps.sinks import actions
from apps.sinks import registry as module
from apps.sinks.admin import kinds
from apps.sinks.config import Settings
from apps.sinks.models import Binding
from apps.sinks.registry import GROUP, Registry
from apps.sinks.tests.kinds import Letterbox, Shelf

pytestmark = [pytest.mark.services, pytest.mark.django_db]
PAGE = reverse("admin:sinks_kinds")
HERE = "apps.sinks.tests"


class Package:
    name, version = "formhub-shelf", "1.2"


class PointOf(EntryPoint):
    """An entry point as an installed package's."""

    dist: ClassVar[Any] = Package()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shelf that works, and a letterbox whose module is not there."""
    points = [
        PointOf("shelf", f"{HERE}.kinds:Shelf", GROUP),
        PointOf("letterbox", f"{HERE}.no_such_module:Letterbox", GROUP),
    ]
    monkeypatch.setattr(module, "entry_points", lambda group: points)
    _install(monkeypatch, Registry({}, GROUP))


def _install(monkeypatch: pytest.MonkeyPatch, registry: Registry) -> None:
    for where in ("apps.sinks.admin.kinds", "apps.sinks.actions"):
        monkeypatch.setattr(f"{where}.registry", registry)


def an_operator(**changes: Any) -> Client:
    organization = Organization.objects.create(name="Acme", slug=uuid4().hex[:8])
    user = User.objects.create_user(f"{uuid4().hex}@example.org", **{"is_staff": True, **changes})
    Membership.objects.create(organization=organization, user=user, role=Role.VIEWER)
    client = Client()
    client.force_login(user)
    return client


def an_action(kind: type[Shelf], name: str) -> Binding:
    organization = Organization.objects.create(name=name, slug=uuid4().hex[:8])
    form = Form.objects.create(organization=organization, title=name, slug="guests")
    settings = Settings({"shelf": name}, {})
    return actions.create(
        organization_id=organization.pk, form_id=form.pk, sink=kind, name=name, settings=settings, position=0
    )


@pytest.mark.usefixtures("installed")
def test_an_action_remembers_the_package_of_its_kind() -> None:
    assert an_action(Shelf, "oak").package == "formhub-shelf 1.2"


@pytest.mark.usefixtures("installed")
def test_operators_see_every_kind_with_its_package_and_how_many_actions_use_it() -> None:
    for name in ("oak", "ash"):
        an_action(Shelf, name)

    broken, shelf = kinds.rows()
    page = an_operator().get(PAGE).content.decode()

    assert (shelf.kind.package, shelf.kind.version, shelf.kind.api_version) == ("formhub-shelf", "1.2", 1)
    assert (shelf.actions, shelf.installed, shelf.kind.trouble) == (2, True, "")
    assert "no_such_module" in broken.kind.trouble
    for said in ("Shelf", "formhub-shelf", "1.2", "Loads", "Does not load", "Repair or remove the package"):
        assert said in page


def test_a_kind_that_only_actions_still_name_is_listed_with_the_package_that_it_came_from(
    installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions.pause(an_action(Shelf, "oak"))
    monkeypatch.setattr(module, "entry_points", lambda group: [])
    _install(monkeypatch, Registry({}, GROUP))

    [gone] = kinds.rows()
    page = an_operator().get(PAGE).content.decode()

    assert (gone.kind.package, gone.kind.version, gone.actions, gone.paused) == ("formhub-shelf", "1.2", 1, 1)
    for said in ("Not installed", "formhub-shelf", "Install the package", "(1 paused)"):
        assert said in page


def test_without_any_kind_the_page_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, Registry({}, "nobody.announces"))

    assert "Install a package that brings one" in an_operator().get(PAGE).content.decode()


def test_only_operators_may_see_it(client: Client) -> None:
    assert an_operator(is_staff=False).get(PAGE).status_code == 403
    assert client.get(PAGE).status_code == 302


def test_the_built_in_kinds_come_with_formhub() -> None:
    found = {row.kind.name: row for row in kinds.rows()}

    assert found["google_sheets"].kind.package == ""
    assert Letterbox.name not in found
