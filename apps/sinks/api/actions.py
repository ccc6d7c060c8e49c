"""The actions of a form: list, make, change, pause, resume, switch off and on, test, delete."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs import access
from apps.orgs.access import Right
from apps.orgs.api import pages
from apps.orgs.api.base import ManageView, not_found, refused
from apps.orgs.api.once import changing, creating
from apps.orgs.api.query import wrong
from apps.sinks import actions, config, fitting, previewing, replay, trial
from apps.sinks.api import openapi
from apps.sinks.api.serializers import (
    ActionSerializer,
    BacklogSerializer,
    DraftSerializer,
    NewActionSerializer,
    PreviewSerializer,
    ReplayActionSerializer,
    ReplaySerializer,
)
from apps.sinks.api.settings_schema import problems
from apps.sinks.backlog import standing
from apps.sinks.changes import VERBS, change, present
from apps.sinks.config import Settings
from apps.sinks.contract import Sink
from apps.sinks.models import Binding, Parked
from apps.sinks.positions import log_end
from apps.sinks.registry import UnknownKindError, registry
from apps.sinks.replay import Wanted
from apps.sinks.selection import Selection

PER_FORM_MAX = 100


class ActionPartView(ManageView):
    for_bound_keys = True

    def action(self, form: str, id: int) -> Binding:
        """Raises Problem 404 and 403."""
        rows = Binding.objects.select_related("form", "destination").filter(form=self.form(form))
        found = rows.filter(pk=id).first()
        if found is None:
            raise not_found("This form has no such action.")
        return found

    def may_read(self, form: Any) -> bool:
        """Whether the caller may read the answers that the form got."""
        return access.allowed(self.who, form.organization_id, Right.VIEW) and access.form_allowed(self.who, form.pk)


class ActionsView(ActionPartView):
    @openapi.list_actions
    def get(self, request: Request, form: str) -> Response:
        """All of them, in the order they were made: a form has few."""
        rows = Binding.objects.filter(form=self.form(form)).select_related("form", "destination").order_by("pk")
        return Response(pages.whole(ActionSerializer(rows, many=True).data))

    @openapi.create_action
    @creating
    def post(self, request: Request, form: str) -> Response:
        found = self.form(form)
        sent = self.taken(NewActionSerializer)
        if Binding.objects.filter(form=found).count() >= PER_FORM_MAX:
            raise refused(wrong("", "too_many", f"A form can have {PER_FORM_MAX} actions."))
        draft = _draft(found, sent)
        try:
            made = actions.create(
                organization_id=found.organization_id,
                form_id=found.pk,
                sink=draft.kind,
                name=sent["name"],
                settings=draft.settings,
                position=log_end(found.pk),
                condition=sent.get("condition"),
                flush_seconds=sent.get("flush_seconds"),
                selection=draft.selection,
            )
        except actions.DestinationTakenError as error:
            raise refused(wrong("settings", "destination_taken", str(error))) from None
        self.audit(found.organization_id, "added", made)
        headers = {"Location": f"{request.path}/{made.pk}"}
        return Response(ActionSerializer(made).data, status=201, headers=headers)


class ActionView(ActionPartView):
    @openapi.read_action
    def get(self, request: Request, form: str, id: int) -> Response:
        return Response(ActionSerializer(self.action(form, id)).data)

    @openapi.change_action
    @changing
    def patch(self, request: Request, form: str, id: int) -> Response:
        found = self.action(form, id)
        sent = self.taken(ActionSerializer, partial=True)
        settings = None
        if "selection" in sent:
            sent["selection"] = _selection(sent["selection"], found.form_id)
        if "config" in sent or "selection" in sent:
            kind, current = _kind(found.kind), present(found)
            if "config" in sent:
                settings = _settings(kind, {**current.config, **sent.pop("config")}, current)
            _check_fit(kind, settings or current, found.form_id, sent.get("selection", found.selection))
        try:
            changes = change(found, sent, settings)
        except actions.DestinationTakenError as error:
            raise refused(wrong("settings", "destination_taken", str(error))) from None
        if changes:
            self.audit(found.organization_id, "changed", found, changes)
        return Response(ActionSerializer(self.action(form, id)).data)

    @openapi.delete_action
    @changing
    def delete(self, request: Request, form: str, id: int) -> Response:
        found = self.action(form, id)
        self.audit(found.organization_id, "deleted", found)
        found.delete()
        return Response(status=204)


class VerbView(ActionPartView):
    """One of VERBS, done with an action."""

    verb: ClassVar[str]

    def done(self, form: str, id: int) -> Response:
        self.nothing_sent()
        found = self.action(form, id)
        before = found.state
        verb = VERBS[self.verb]
        verb.act(found)
        if found.state != before:
            self.audit(found.organization_id, verb.recorded, found)
        return Response(ActionSerializer(self.action(form, id)).data)


class PauseView(VerbView):
    verb = "pause"

    @openapi.pause_action
    @changing
    def post(self, request: Request, form: str, id: int) -> Response:
        return self.done(form, id)


class ResumeView(VerbView):
    verb = "resume"

    @openapi.resume_action
    @changing
    def post(self, request: Request, form: str, id: int) -> Response:
        return self.done(form, id)


class OffView(VerbView):
    verb = "off"

    @openapi.switch_action_off
    @changing
    def post(self, request: Request, form: str, id: int) -> Response:
        return self.done(form, id)


class OnView(VerbView):
    verb = "on"

    @openapi.switch_action_on
    @changing
    def post(self, request: Request, form: str, id: int) -> Response:
        return self.done(form, id)


class BacklogView(ActionPartView):
    @openapi.read_backlog
    def get(self, request: Request, form: str, id: int) -> Response:
        found = self.action(form, id)
        return Response(BacklogSerializer(standing(found)).data)


class ReplayView(ActionPartView):
    @openapi.replay_action
    @creating
    def post(self, request: Request, form: str, id: int) -> Response:
        found = self.action(form, id)
        sent = self.taken(ReplayActionSerializer)
        of_delivered = sent.pop("of", "failed") == "delivered"
        wanted = Wanted(**sent)
        if of_delivered and wanted.code:
            raise refused(wrong("code", "not_for_delivered", "What was delivered has no code. Leave it out."))
        try:
            done = replay.ask_delivered(found, wanted) if of_delivered else self._failed(found, wanted)
        except replay.OnceOnlyError as error:
            raise refused(wrong("of", "delivered_once", str(error))) from None
        if done.count:
            self.audit(found.organization_id, replay.RECORDED, found)
        return Response(ReplaySerializer(done).data)

    def _failed(self, binding: Binding, wanted: Wanted) -> replay.Asked:
        return replay.ask_failed(Parked.objects.filter(binding=binding), wanted)


class TestView(ActionPartView):
    @openapi.test_action
    def post(self, request: Request, form: str, id: int) -> Response:
        """In no transaction: it waits for a service outside."""
        self.nothing_sent()
        outcome = trial.test(self.action(form, id))
        return Response({"works": outcome.works, "message": outcome.message})


class PreviewView(ActionPartView):
    @openapi.preview_action
    def post(self, request: Request, form: str, id: int) -> Response:
        self.nothing_sent()
        found = self.action(form, id)
        draft = previewing.Draft(found.form, _kind(found.kind), present(found), found.selection, found.pk)
        return Response(shown(draft, self.may_read(found.form)))


class PreviewNewView(ActionPartView):
    @openapi.preview_new_action
    def post(self, request: Request, form: str) -> Response:
        """Checked as an action that is made."""
        found = self.form(form)
        sent = self.taken(DraftSerializer)
        return Response(shown(_draft(found, sent), self.may_read(found)))


def _draft(form: Any, sent: Mapping[str, Any]) -> previewing.Draft:
    """An action that is to be made, as it was sent. Raises Problem 422 with everything that is wrong about it."""
    kind = _kind(sent["kind"])
    selection = _selection(sent.get("selection"), form.pk)
    settings = _settings(kind, sent.get("config", {}))
    _check_fit(kind, settings, form.pk, selection)
    return previewing.Draft(form, kind, settings, selection)


def shown(draft: previewing.Draft, may_read: bool) -> Any:
    """Raises Problem 422 where there is nothing to show."""
    outcome = previewing.preview(draft, may_read=may_read)
    if outcome.preview is None:
        raise refused(wrong("", "no_preview", outcome.trouble))
    return PreviewSerializer({"made_up": outcome.made_up, **asdict(outcome.preview)}).data


def _kind(name: str) -> type[Sink]:
    try:
        return registry.get(name)
    except (UnknownKindError, KeyError) as error:
        raise refused(wrong("kind", "unknown_kind", str(error))) from None


def _selection(sent: Mapping[str, Any] | None, form_id: UUID) -> dict[str, Any] | None:
    """As it is stored. Raises Problem 422 with every field that the form does not have."""
    found = fitting.unsendable(sent, form_id)
    if found:
        named = [(f"selection.fields[{each.index}].{each.setting}", each) for each in found]
        raise refused(*(wrong(path, each.code, each.message) for path, each in named))
    return Selection.from_json(sent).as_json()


def _settings(kind: type[Sink], sent: Mapping[str, Any], current: Settings | None = None) -> Settings:
    """Checked by the kind's own form. Raises Problem 422 with every setting that is wrong."""
    if errors := problems(kind, sent):
        raise refused(*errors)
    blank = config.blank(kind).fields
    defaults = {name: field.initial for name, field in blank.items() if field.initial is not None}
    given = {name: value for name, value in sent.items() if value is not None}
    filled = config.validated(kind, {**({} if current else defaults), **given}, current)
    if not filled.is_valid():
        raise refused(
            *(
                wrong(f"settings.{name}".removesuffix(".__all__"), str(error.code or "invalid"), message)
                for name, found in filled.errors.as_data().items()
                for error in found
                for message in error.messages
            )
        )
    return config.settings_of(kind, filled)


def _check_fit(kind: type[Sink], settings: Settings, form_id: UUID, selection: Any) -> None:
    """Raises Problem 422 with every setting that does not fit what is sent of the form."""
    if found := fitting.misfits(kind, settings, form_id, selection):
        raise refused(*(wrong(f"settings.{name}", "does_not_fit", message) for name, message in found.items()))
