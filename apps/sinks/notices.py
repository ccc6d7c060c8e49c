"""What the owners and admins of an organization are told by mail: each occasion once, in few words, without answers.

A notice is written where the thing happens, in the same transaction, or is found by looking at the ledger now and
then; sending comes later. It is marked as sent before it is handed to the mail server: where a worker dies in between
nobody is told, which is better than being told for ever. A refusal of the mail server is a reason to try again.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Exists, Min, OuterRef, QuerySet
from django.db.models.functions import Now, TruncDate
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation

from apps.orgs.access import ROLES, Right
from apps.orgs.models import Membership
from apps.sinks.models import UNFINISHED, Batch, Binding, BindingState, Destination, Notice, Parked

logger = logging.getLogger(__name__)
PER_TURN = 20  # mails; a mail server may take EMAIL_TIMEOUT for each
TRIES = 5
TOGETHER = 100  # actions in one mail
RECIPIENTS_MAX = 20
TEXT_MAX = 500  # of what a sink says
COUNTED = 10_000
LOOK = timedelta(hours=1)
ACTIONS = 1000  # that one look finds
MINUTE = timedelta(minutes=1)
State, Kind = Notice.State, Notice.Kind


def paused(bindings: Iterable[int]) -> None:
    """These were just paused by their settings. In the caller's transaction."""
    rows = Binding.objects.filter(pk__in=list(bindings))
    _note(_notice(binding, Kind.PAUSED, _moment(binding)) for binding in rows)


def turn() -> None:
    """Look for what somebody should be told, and tell it."""
    if not settings.NOTIFY:
        return
    _look_for_failed()
    _look_for_failing()
    for _ in range(PER_TURN):
        notices = _claim()
        if not notices:
            return
        _send(notices)


def _notice(binding: Binding, kind: str, occasion: str) -> Notice:
    return Notice(organization_id=binding.organization_id, binding=binding, kind=kind, occasion=occasion)


def _note(notices: Iterable[Notice]) -> None:
    Notice.objects.bulk_create(list(notices), ignore_conflicts=True)


def _look_for_failed() -> None:
    """The first ones of an action in a day; told after a while, so that one mail counts them all. Whoever has had such
    a mail of a day hears of further actions when the day is over.
    """
    now, wait = timezone.now(), timedelta(minutes=settings.NOTIFY_FAILED_MINUTES)
    recent = Parked.objects.filter(parked_at__gt=now - LOOK, again=False)
    days = recent.order_by().values_list("organization_id", "binding_id", TruncDate("parked_at", tzinfo=UTC))
    rows = list(days.distinct()[:ACTIONS])
    sent = Notice.objects.filter(kind=Kind.FAILED, state=State.SENT, occasion__in={str(day) for *_, day in rows})
    told = set(sent.values_list("organization_id", "occasion"))
    _note(
        Notice(
            organization_id=organization,
            binding_id=binding,
            kind=Kind.FAILED,
            occasion=str(day),
            due_at=(_end_of(day) if (organization, str(day)) in told else now) + wait,
        )
        for organization, binding, day in rows
    )


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC) + timedelta(days=1)


def _look_for_failing() -> None:
    """Destinations that have something to deliver and cannot, once per outage: since the same last success."""
    long_ago = Now() - timedelta(minutes=settings.NOTIFY_FAILING_MINUTES)
    failing = Destination.objects.filter(failures__gt=0).filter(Exists(_undelivered().filter(created_at__lt=long_ago)))
    on = Binding.objects.filter(state=BindingState.ON).order_by("pk")
    for destination in failing.order_by("pk")[:ACTIONS]:
        binding = on.filter(destination=destination).first()
        if binding is not None:
            since = destination.delivered_at.isoformat() if destination.delivered_at else "never"
            occasion = f"{destination.pk}/{since}"
            _note(
                [Notice(organization_id=binding.organization_id, binding=binding, kind=Kind.FAILING, occasion=occasion)]
            )


def _undelivered() -> QuerySet[Batch]:
    return Batch.objects.filter(destination=OuterRef("pk"), state__in=UNFINISHED, attempts__gt=0)


def _claim() -> list[Notice]:
    """What the next mail tells, marked as sent. What nobody needs any more goes, what is over the limit is dropped."""
    while True:
        with transaction.atomic():
            due = _waiting(Notice.objects.filter(due_at__lte=Now()))
            first = due.first()
            if first is None:
                return []
            found = [first, *_along_with(first)]
            for notice in [notice for notice in found if not _still_so(notice)]:
                found.remove(notice)
                notice.delete()
            dropped = bool(found) and _enough(found[0])
            for notice in found:
                notice.state, notice.sent_at = (State.DROPPED, None) if dropped else (State.SENT, timezone.now())
                notice.tries += 1
            Notice.objects.bulk_update(found, ["state", "sent_at", "tries"])
        if found and not dropped:
            return found


def _waiting(notices: QuerySet[Notice]) -> QuerySet[Notice]:
    waiting = notices.filter(state=State.WAITING).order_by("due_at", "pk")
    return waiting.select_for_update(skip_locked=True, of=("self",)).select_related("binding__destination")


def _along_with(notice: Notice) -> list[Notice]:
    """Other actions of which submissions failed on the same day, and who would be told of them soon."""
    if notice.kind != Kind.FAILED:
        return []
    soon = Now() + timedelta(minutes=settings.NOTIFY_FAILED_MINUTES)
    same = Notice.objects.filter(organization_id=notice.organization_id, kind=Kind.FAILED, occasion=notice.occasion)
    return list(_waiting(same.filter(due_at__lte=soon).exclude(pk=notice.pk))[: TOGETHER - 1])


def _still_so(notice: Notice) -> bool:
    """What was repaired before anybody could be told is not worth a mail."""
    match notice.kind:
        case Kind.PAUSED:
            return notice.binding.state == BindingState.PAUSED and _moment(notice.binding) == notice.occasion
        case Kind.FAILED:
            return _failed(notice).exists()
        case _:
            return notice.binding.destination.failures > 0


def _enough(notice: Notice) -> bool:
    today = Notice.objects.filter(
        organization_id=notice.organization_id, sent_at__gt=timezone.now() - timedelta(days=1)
    )
    if today.count() < settings.NOTIFY_PER_DAY:
        return False
    logger.warning("organization %s: no more mails today; notice %s is not sent", notice.organization_id, notice.pk)
    return True


def _send(notices: Sequence[Notice]) -> None:
    first = notices[0]
    to = _recipients(first)
    if not to:
        logger.warning("organization %s: nobody to tell about action %s", first.organization_id, first.binding_id)
        return
    try:
        with translation.override(settings.LANGUAGE_CODE):
            _message(notices, to).send()
    except (SMTPException, OSError) as error:
        logger.warning("notice %s: the mail was not taken (%s)", first.pk, type(error).__name__)
        for notice in notices:
            _put_back(notice)


def _put_back(notice: Notice) -> None:
    again = notice.tries < TRIES
    wait = MINUTE * 2**notice.tries
    state = State.WAITING if again else State.DROPPED
    Notice.objects.filter(pk=notice.pk).update(state=state, sent_at=None, due_at=Now() + wait)


def _recipients(notice: Notice) -> list[str]:
    members = Membership.objects.filter(
        organization_id=notice.organization_id, role__in=ROLES[Right.ADMIN], user__is_active=True
    )
    found = members.exclude(user__email="").order_by("pk").values_list("user__email", flat=True)
    return list(found[:RECIPIENTS_MAX])


def _message(notices: Sequence[Notice], to: list[str]) -> EmailMessage:
    """All of one kind and of one organization; several only where submissions failed."""
    told = [_told(notice) for notice in notices]
    context = {**told[0], "told": told}
    subject, _, body = render_to_string(f"sinks/mail/{notices[0].kind}.txt", context).partition("\n")
    return EmailMessage(subject.strip(), body.strip() + "\n", to=to)


def _told(notice: Notice) -> dict[str, Any]:
    binding = notice.binding
    # Settings are mended on the action's page; what failed, and why, stands in the form's delivery console.
    page = "admin:sinks_binding_change" if notice.kind == Kind.PAUSED else "action-deliveries"
    return {
        "action": " ".join(binding.name.split()),  # a line break would end the subject
        "reason": binding.pause_reason[:TEXT_MAX],
        "remedy": binding.pause_remedy[:TEXT_MAX],
        **_particulars(notice),
        "address": f"{settings.PUBLIC_URL}{reverse(page, args=[binding.pk])}",
    }


def _failed(notice: Notice) -> QuerySet[Parked]:
    day = datetime.fromisoformat(notice.occasion).replace(tzinfo=UTC)
    within = {"parked_at__gte": day, "parked_at__lt": day + timedelta(days=1)}
    return Parked.objects.filter(binding=notice.binding, again=False, **within)


def _particulars(notice: Notice) -> dict[str, Any]:
    """Not what a service said of submissions that failed: it may repeat answers."""
    if notice.kind == Kind.FAILED:
        codes = list(_failed(notice).order_by("-parked_at").values_list("code", flat=True)[:COUNTED])
        return {"day": notice.occasion, "count": len(codes), "codes": sorted(set(codes)), "more": len(codes) == COUNTED}
    if notice.kind == Kind.FAILING:
        batches = Batch.objects.filter(destination=notice.binding.destination, state__in=UNFINISHED, attempts__gt=0)
        return {"since": batches.aggregate(at=Min("created_at"))["at"]}
    return {}


def _moment(binding: Binding) -> str:
    return binding.paused_at.isoformat() if binding.paused_at else ""
