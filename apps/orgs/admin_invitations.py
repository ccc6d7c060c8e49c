"""Invitations in the admin: make one and pass its link on, see what became of it, revoke it."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from apps.orgs import access, invitations
from apps.orgs.access import Right
from apps.orgs.admin_base import RequestForm, RequestFormAdmin
from apps.orgs.invitations import State
from apps.orgs.models import Invitation, Role

STATES = {
    State.OPEN: _("Open"),
    State.ACCEPTED: _("Accepted"),
    State.REVOKED: _("Revoked"),
    State.EXPIRED: _("Expired"),
}


class InvitationForm(RequestForm):
    class Meta:
        model = Invitation
        fields = ("organization", "email", "role")
        help_texts = {"email": _("Only somebody who is signed in with this address, or is new here, can accept.")}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if set(cleaned) >= {"organization", "email", "role"}:
            who = access.actor(self.request)
            try:
                invitations.check(who, cleaned["organization"], cleaned["email"], Role(cleaned["role"]))
            except ValidationError as error:
                self.add_error("role" if error.code == "role_too_high" else "email", error)
        return cleaned


@admin.register(Invitation)
class InvitationAdmin(RequestFormAdmin):
    form = InvitationForm
    view_right = Right.ADMIN
    add_right = Right.ADMIN
    change_right = None  # an invitation is made, accepted or revoked; what it is for never changes
    delete_right = None
    list_display = ("email", "organization", "role", "standing", "inviter", "created_at", "expires_at")
    list_filter = ("role", ("organization", RelatedOnlyFieldListFilter))
    list_select_related = ("organization", "invited_by", "api_key")
    search_fields = ("email",)
    search_help_text = _("Search by e-mail address")
    fields = ("organization", "email", "role")
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.fields, "standing", "inviter", "created_at", "expires_at") if obj else self.fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return access.scoped(super().get_queryset(request), self.actor(request), Right.ADMIN)

    @admin.display(description=_("state"))
    def standing(self, obj: Invitation) -> str:
        return str(STATES[invitations.state(obj)])

    @admin.display(description=_("invited by"))
    def inviter(self, obj: Invitation) -> str:
        return str(obj.invited_by or obj.api_key or "")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made, token = invitations.invite(self.actor(request), obj.organization, obj.email, Role(obj.role))
        obj.__dict__.update(made.__dict__)
        obj.link = invitations.link(token, request)  # for the page that answers this very request, and nowhere else

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The answer itself shows the link: a message or a redirect would have to store it somewhere."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("Pass this link on"),
            "invitation": obj,
            "opts": self.opts,
        }
        response = TemplateResponse(request, "orgs/invitation_created.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(description=_("Revoke the selected invitations"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        count = 0
        for invitation in queryset.filter(accepted_at=None, revoked_at=None).select_related("organization"):
            try:
                invitations.revoke(self.actor(request), invitation)
            except ValidationError as error:
                self.message_user(request, f"{invitation.email}: {error.messages[0]}", messages.ERROR)
            else:
                count += 1
        text = ngettext("%d link no longer works.", "%d links no longer work.", count) % count
        self.message_user(request, text, messages.SUCCESS)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.permitted(request, Right.ADMIN)
