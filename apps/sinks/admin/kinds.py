"""The kinds of action of this installation, for operators: who brings them, whether they work, how many use them."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from apps.orgs import access
from apps.sinks.contract import API_VERSION
from apps.sinks.models import Binding, BindingState
from apps.sinks.registry import Listed, UnknownKindError, registry


@dataclass(frozen=True, slots=True)
class Row:
    """A kind that is announced, or that actions still name. paused: of its actions."""

    kind: Listed
    installed: bool
    actions: int
    paused: int


def view(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    if not access.is_operator(request.user):
        raise PermissionDenied
    shown = {
        "title": _("Kinds of action"),
        "rows": rows(),
        "api_version": API_VERSION,
        "formhub_version": settings.VERSION,
    }
    return TemplateResponse(request, "sinks/admin/installed.html", {**context, **shown})


def rows() -> list[Row]:
    """Those with trouble first, then by label."""
    counted, paused = _counted(), _counted(state=BindingState.PAUSED)
    listed = {kind.name: kind for kind in registry.listed()}
    gone = {name: _gone(name) for name in counted if name not in listed}
    found = [Row(kind, name in listed, counted[name], paused[name]) for name, kind in {**listed, **gone}.items()]
    return sorted(found, key=lambda row: (not row.kind.trouble, row.kind.label.lower()))


def _counted(**wanted: str) -> Counter[str]:
    """Actions by kind."""
    return Counter(dict(Binding.objects.filter(**wanted).order_by().values_list("kind").annotate(count=Count("pk"))))


def _gone(name: str) -> Listed:
    """With the package that brought it, as its actions remember."""
    origin = Binding.objects.filter(kind=name).exclude(package="").order_by("-pk").values_list("package", flat=True)
    package, _space, version = (origin.first() or "").partition(" ")
    try:
        registry.get(name)
    except UnknownKindError as error:
        return Listed(name, name, package, version, None, error.reason, error.remedy)
    return Listed(name, name, package, version, None)
