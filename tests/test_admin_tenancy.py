"""The admin, model by model, as everybody: nothing of another organization is shown, nothing is changed without right.

What is tried is taken from the registry, so a model that is registered later is tried too, or fails by name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus, urlencode

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import quote
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import ForeignKey, ManyToManyField, Model
from django.forms import MultiWidget
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from apps.forms import published
from apps.orgs.models import Membership, Role, User
from apps.sinks.registry import UnknownKindError, registry
from tests.houses import CASES, SUPERUSER, Case, House, Tried, everything, with_long_numbers

pytestmark = [pytest.mark.services, pytest.mark.django_db]

LABELS = sorted(CASES)
# Who has no right in `theirs`: members of another organization, a former owner, the same as a member of the other
# organization now, a former owner whose account is switched off, and nobody.
SHOWN_OUT = ["removed", "switched off", "anonymous"]
STRANGERS = [*Role.values, "moved", *SHOWN_OUT]
ELSEWHERE = "viewer here, owner elsewhere"
MEMBERS = [*Role.values, SUPERUSER, ELSEWHERE]


@pytest.fixture(autouse=True)
def _one_kind_of_action(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(name: str) -> type[Tried]:
        if name != Tried.name:
            raise UnknownKindError(name)
        return Tried

    monkeypatch.setattr(registry, "get", get)
    monkeypatch.setattr(registry, "kinds", lambda: [Tried])
    published.clear()


@pytest.fixture(scope="module")
def houses(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[House, House]]:
    """Built once; each test leaves them as they were, in a transaction of its own within this one."""
    with django_db_blocker.unblock(), transaction.atomic():
        with_long_numbers()
        theirs = House("Quagga")
        assert set(theirs.rows) == set(LABELS)
        theirs.before = everything()
        ours = House("Okapi")
        assert set(ours.rows) == set(LABELS)
        yield theirs, ours
        transaction.set_rollback(True)


@pytest.fixture
def theirs(houses: tuple[House, House]) -> House:
    return houses[0]


@pytest.fixture
def ours(houses: tuple[House, House]) -> House:
    return houses[1]


@pytest.fixture(scope="module")
def filters(houses: tuple[House, House], django_db_blocker: DjangoDbBlocker) -> dict[str, list[str]]:
    """What each list offers a superuser to filter by and has something of `theirs` in it."""
    with django_db_blocker.unblock():
        return {label: list(filters_of(Door(label), houses[0])) for label in LABELS}


@dataclass(frozen=True)
class Door:
    """The addresses of one model."""

    label: str

    @property
    def model(self) -> type[Model]:
        return next(model for model in admin.site._registry if model._meta.label == self.label)

    @property
    def case(self) -> Case:
        return CASES[self.label]

    @property
    def list(self) -> str:
        return self._reverse("changelist")

    @property
    def add(self) -> str:
        return self._reverse("add") + self.case.query

    def list_of(self, house: House) -> str:
        """Where its row stands; the list of submissions is that of one form."""
        return f"{self.list}?form={house.form.pk}" if self.label == "archive.Submission" else self.list

    def page(self, row: Any, verb: str = "change") -> str:
        return self._reverse(verb, quote(self.case.address(row)))

    def page_by_key(self, row: Any, verb: str) -> str:
        return self._reverse(verb, quote(str(row.pk)))

    def _reverse(self, verb: str, *args: str) -> str:
        return reverse(f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_{verb}", args=args)


def signed_in(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def a_superuser() -> Client:
    root = User.objects.filter(is_superuser=True).first()
    return signed_in(root or User.objects.create_superuser("root@example.org"))


def a_stranger(who: str, ours: House, theirs: House) -> Client:
    if who == "anonymous":
        return signed_in(None)
    if who in Role.values:
        return signed_in(ours.people[who])
    user = theirs.person(Role.OWNER)
    client = signed_in(user)
    for row in theirs.rows.values():
        # They worked here, and the admin keeps a list of what each did.
        kind = ContentType.objects.get_for_model(row)
        LogEntry.objects.create(
            user=user, content_type=kind, object_id=str(row.pk), object_repr=str(row), action_flag=CHANGE
        )
    if who != "switched off":
        Membership.objects.filter(user=user).delete()
    if who == "moved":
        ours.person(Role.OWNER, user)
    # Their own name may stand on every page.
    User.objects.filter(pk=user.pk).update(
        name="Somebody", email="somebody@example.org", is_active=who != "switched off"
    )
    return client


def a_member(who: str, ours: House, theirs: House) -> Client:
    if who == SUPERUSER:
        return a_superuser()
    if who == ELSEWHERE:
        theirs.person(Role.VIEWER, ours.people[Role.OWNER])
        return signed_in(ours.people[Role.OWNER])
    return signed_in(theirs.people[who])


def may(who: str, roles: frozenset[str]) -> bool:
    return (Role.VIEWER if who == ELSEWHERE else who) in roles


def as_sent(page: Any) -> dict[str, Any]:
    """What a browser would send back from a page of the admin as it is."""
    assert page.status_code == 200
    forms = [page.context["adminform"].form]
    for shown in page.context["inline_admin_formsets"]:
        forms += [shown.formset.management_form, *shown.formset.forms]
    return {name: value for form in forms for bound in form for name, value in _inputs_of(bound)}


def _inputs_of(bound: Any) -> Iterator[tuple[str, Any]]:
    value, widget = bound.value(), bound.field.widget
    if isinstance(widget, MultiWidget):
        parts: list[Any] = widget.decompress(value) or []
        for number, part in enumerate(parts):
            yield f"{bound.html_name}_{number}", "" if part is None else part
    elif value is not None and value is not False:
        yield bound.html_name, "on" if value is True else value


class TestWhatIsTried:
    def test_every_model_of_the_admin(self) -> None:
        registered = {model._meta.label for model in admin.site._registry}

        assert registered - set(CASES) == set(), (
            "These are registered in the admin and not tried: add a Case for each to CASES in tests/houses.py "
            "(what a row of it is, who may see, add, change and delete it, and what is sent to do so)."
        )
        assert set(CASES) - registered == set(), "These have a Case in tests/houses.py and are no longer registered."

    @pytest.mark.parametrize("label", LABELS)
    def test_every_action_of_its_list(self, label: str) -> None:
        assert set(admin.site._registry[Door(label).model].actions or ()) == set(CASES[label].actions), (
            f"Name the actions of the list of {label} in its Case in tests/houses.py, and the roles that may take them."
        )

    @pytest.mark.parametrize("label", LABELS)
    def test_a_row_of_every_inline(self, label: str, theirs: House) -> None:
        page = a_superuser().get(Door(label).page(theirs.rows[label]))

        for shown in page.context["inline_admin_formsets"]:
            assert shown.formset.initial_forms, (
                f"The page of {label} has {shown.opts.model._meta.label} as an inline and no row of it: let House in "
                "tests/houses.py make one, or nobody sees whether strangers are shown it."
            )

    @pytest.mark.parametrize("label", LABELS)
    def test_traces_that_are_there_for_who_may_see_them(self, label: str, theirs: House) -> None:
        door, client = Door(label), a_superuser()

        for address in (door.list_of(theirs), door.page(theirs.rows[label])):
            assert theirs.mark in client.get(address).content.decode(), address


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("who", STRANGERS)
class TestStrangers:
    def test_find_no_row_name_or_id(
        self, who: str, label: str, ours: House, theirs: House, filters: dict[str, list[str]]
    ) -> None:
        door = Door(label)
        addresses = [*pages_of(door, theirs), *filters[label], *choosers_of(door)]
        client = a_stranger(who, ours, theirs)

        for address in addresses:
            answer = looked_at(client, address, theirs)
            if who in SHOWN_OUT:
                assert answer.headers["Location"].startswith(reverse("admin:login")), address
        for verb in ("change", "delete", "history"):
            assert client.get(door.page(theirs.rows[label], verb)).status_code in {302, 403, 404}

    def test_change_nothing(self, who: str, label: str, ours: House, theirs: House) -> None:
        door, row = Door(label), theirs.rows[label]
        shown = as_sent(a_superuser().get(door.page(row)))
        client = a_stranger(who, ours, theirs)
        chosen = {"_selected_action": [row.pk, door.case.address(row)], "post": "yes"}
        posts: list[tuple[str, Any]] = [
            *((door.page(row), {**shown, **edit}) for edit in door.case.edits),
            (door.page(row, "delete"), {"post": "yes"}),
            (door.add, door.case.new(theirs)),
            *((door.list_of(theirs), {"action": name, **chosen}) for name in ("delete_selected", *door.case.actions)),
        ]
        before = everything()

        for address, data in posts:
            answer = client.post(address, data)
            assert answer.status_code in {200, 302, 403, 404}, address
            assert everything() == before, f"{address}: {data}"

    def test_choose_all_rows_and_reach_only_their_own(self, who: str, label: str, ours: House, theirs: House) -> None:
        door, row = Door(label), theirs.rows[label]
        client = a_stranger(who, ours, theirs)
        chosen = {"_selected_action": [row.pk], "select_across": "1", "post": "yes"}

        for name in (*door.case.actions, "delete_selected"):
            client.post(door.list_of(theirs), {"action": name, **chosen})
            client.post(door.list, {"action": name, **chosen})

        after = everything()
        gone = [(name, each) for name, rows in theirs.before.items() for each in rows if each not in after[name]]
        assert [each for each in gone if each[0] != "tests of actions"] == []


@pytest.mark.parametrize("who", STRANGERS)
def test_the_pages_of_the_site_tell_strangers_nothing(who: str, ours: House, theirs: House) -> None:
    kinds = [ContentType.objects.get_for_model(row) for row in theirs.rows.values()]
    apps = {model._meta.app_label for model in admin.site._registry}
    addresses = [
        *(reverse(f"admin:{name}") for name in ("index", "password_change", "jsi18n")),
        *(reverse("admin:app_list", args=[app]) for app in sorted(apps)),
        *(f"{reverse('admin:search')}?s={term}" for term in ("Qu", "guests", "")),
        *(f"{reverse('admin:search')}?s={term}&extended=1" for term in ("Qu", "guests", "")),
        *(
            reverse("admin:view_on_site", args=[kind.pk, row.pk])
            for kind, row in zip(kinds, theirs.rows.values(), strict=True)
        ),
    ]
    client = a_stranger(who, ours, theirs)

    for address in addresses:
        looked_at(client, address, theirs)


def looked_at(client: Client, address: str, theirs: House) -> Any:
    """The answer, which may repeat what the address itself says of `theirs` and nothing else."""
    answer = client.get(address)
    client.cookies.pop("messages", None)  # the next page would say which number was not found
    assert answer.status_code in {200, 302, 400, 403, 404}, f"{address}: {answer.status_code}"
    text, said = (answer.content.decode() + str(answer.headers)).lower(), address.lower()
    assert [trace for trace in theirs.traces if trace.lower() in text and trace.lower() not in said] == [], address
    return answer


def pages_of(door: Door, theirs: House) -> Iterator[str]:
    """Every page of a model, with what a stranger may know or guess."""
    row: Any = theirs.rows[door.label]
    for verb in ("change", "delete", "history"):
        yield door.page(row, verb)
        yield door.page_by_key(row, verb)
    yield door.list
    yield door.list_of(theirs)
    yield f"{door.list}?_facets=True&all="
    yield f"{door.list}?o=1.-2"
    for term in (theirs.mark[:4], row.pk, theirs.submission.pk, theirs.form.public_id):
        yield f"{door.list}?{urlencode({'q': term})}"
    for name, value in guesses(door, row, theirs):
        yield f"{door.list}?{urlencode({name: value})}"
    yield door.add
    known = {"organization": theirs.organization.pk, "form": theirs.form.pk, "user": theirs.people[Role.OWNER].pk}
    yield f"{door.add}{'&' if door.case.query else '?'}{urlencode(known)}"


def guesses(door: Door, row: Any, theirs: House) -> Iterator[tuple[str, Any]]:
    """Filters that nobody offered."""
    for column in door.model._meta.concrete_fields:
        value = getattr(row, column.attname)
        if isinstance(column, ForeignKey):
            yield f"{column.name}__id__exact", value
            texts = {each.name for each in column.related_model._meta.concrete_fields} & {"name", "title"}
            yield from ((f"{column.name}__{text}__startswith", theirs.mark[:3]) for text in texts)
        elif isinstance(value, str) and value:
            yield f"{column.attname}__startswith", value[:2]
    yield "created_at__year", "2026"


def filters_of(door: Door, theirs: House) -> Iterator[str]:
    changelist = a_superuser().get(door.list_of(theirs)).context["cl"]
    for shown in changelist.filter_specs:
        for choice in shown.choices(changelist):
            query = choice.get("query_string", "")
            if any(trace in unquote_plus(query) for trace in theirs.traces):
                yield door.list + query


def choosers_of(door: Door) -> Iterator[str]:
    """What a chooser of the model asks for while somebody types."""
    meta = door.model._meta
    for column in [*meta.concrete_fields, *meta.many_to_many]:
        if isinstance(column, ForeignKey | ManyToManyField):
            for term in ("", "Qu"):
                asked = {"app_label": meta.app_label, "model_name": meta.model_name, "field_name": column.name}
                yield f"{reverse('admin:autocomplete')}?{urlencode({**asked, 'term': term})}"


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("who", MEMBERS)
class TestMembers:
    """In an organization, each role does what it may and no more; what somebody may elsewhere counts for nothing."""

    def test_see_what_they_may(self, who: str, label: str, ours: House, theirs: House) -> None:
        door, row = Door(label), theirs.rows[label]
        client = a_member(who, ours, theirs)
        allowed = may(who, door.case.view)

        for verb in ("change", "history"):
            assert (client.get(door.page(row, verb)).status_code == 200) is allowed
        assert (door.page(row) in client.get(door.list_of(theirs)).content.decode()) is allowed

    def test_change_what_they_may(self, who: str, label: str, ours: House, theirs: House) -> None:
        door, row = Door(label), theirs.rows[label]
        shown = as_sent(a_superuser().get(door.page(row)))
        client = a_member(who, ours, theirs)
        before = everything()

        for edit in door.case.edits if not may(who, door.case.change) else door.case.edits[:1]:
            answer = client.post(door.page(row), {**shown, **edit})
            assert (everything()[label] != before[label]) is may(who, door.case.change), (edit, answer.status_code)
        if not may(who, door.case.change):
            assert everything() == before

    def test_add_what_they_may(self, who: str, label: str, ours: House, theirs: House) -> None:
        door = Door(label)
        client = a_member(who, ours, theirs)
        before = everything()

        client.post(door.add, door.case.new(theirs))

        after = everything()
        assert len(after[label]) == len(before[label]) + may(who, door.case.add)
        if not may(who, door.case.add):
            assert after == before

    @pytest.mark.parametrize("chosen", [True, False], ids=["chosen in the list", "by its page"])
    def test_delete_what_they_may(self, who: str, label: str, chosen: bool, ours: House, theirs: House) -> None:
        door, row = Door(label), theirs.rows[label]
        client = a_member(who, ours, theirs)
        before = everything()

        if chosen:
            data = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
            client.post(door.list_of(theirs), data)
        else:
            client.post(door.page(row, "delete"), {"post": "yes"})

        if may(who, door.case.delete):
            assert not door.model._base_manager.filter(pk=row.pk).exists()
        else:
            assert everything() == before

    def test_take_the_actions_they_may(self, who: str, label: str, ours: House, theirs: House) -> None:
        door, row = Door(label), theirs.rows[label]
        client = a_member(who, ours, theirs)

        for name, roles in door.case.actions.items():
            before = everything()
            client.post(door.list_of(theirs), {"action": name, "_selected_action": [row.pk], "post": "yes"})
            assert (everything() != before) is may(who, roles), name
