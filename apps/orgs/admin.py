"""Organizations, members, keys and the audit trail in the admin."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from apps.orgs import access, audit, keys, members
from apps.orgs.access import Right
from apps.orgs.admin_base import OrgScopedAdmin, RequestForm, RequestFormAdmin
from apps.orgs.admin_invitations import InvitationAdmin
from apps.orgs.admin_trail import AuditEntryAdmin
from apps.orgs.models import ApiKey, Membership, Organization, Role, User
from apps.orgs.theme import ModelAdmin

__all__ = ["ApiKeyAdmin", "AuditEntryAdmin", "InvitationAdmin", "MembershipAdmin", "OrganizationAdmin", "PersonAdmin"]


class MembershipForm(RequestForm):
    class Meta:
        model = Membership
        fields = ("role",)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not cleaned.get("role"):
            return cleaned
        organization, before = self.instance.organization, Membership.objects.get(pk=self.instance.pk)
        after = Role(cleaned["role"])
        members.check_role(access.actor(self.request), organization, Role(before.role), after)
        if after != Role.OWNER:
            members.check_owner_stays(organization, before)
        return cleaned


@admin.register(Organization)
class OrganizationAdmin(OrgScopedAdmin):
    organization_path = "pk"
    add_right = None  # anybody who could would be its first owner: superusers make them
    change_right = Right.ADMIN
    delete_right = Right.OWN
    list_display = ("name", "slug", "people", "created_at")
    search_fields = ("name", "slug")
    search_help_text = _("Search by name")
    readonly_fields = ("created_at",)
    fields = ("name", "slug", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change and isinstance(request.user, User):
            Membership.objects.get_or_create(organization=obj, user=request.user, defaults={"role": Role.OWNER})

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        audit.record(self.actor(request), None, "deleted", obj, {})
        obj.delete()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    @admin.display(description=_("members"))
    def people(self, obj: Organization) -> int:
        return obj.memberships.count()


@admin.register(Membership)
class MembershipAdmin(RequestFormAdmin):
    form = MembershipForm
    add_right = Right.ADMIN
    change_right = Right.ADMIN
    delete_right = Right.ADMIN
    list_display = ("user", "email", "organization", "role", "created_at")
    list_filter = ("role", ("organization", RelatedOnlyFieldListFilter))
    list_select_related = ("user", "organization")
    search_fields = ("user__name", "user__email")
    search_help_text = _("Search by name or e-mail address")
    fields = ("organization", "email", "role")
    readonly_fields = ("email",)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Nobody is made a member without their doing: whoever is wanted is invited."""
        return redirect("admin:orgs_invitation_add")

    @admin.display(description=_("e-mail address"), ordering="user__email")
    def email(self, obj: Membership) -> str:
        return obj.user.email

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if not super().has_delete_permission(request, obj):
            return False
        return obj is None or self._removable(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Several at once are looked at together: each of two owners may go, and not both."""
        shown, counts, refused, protected = super().get_deleted_objects(objs, request)
        try:
            _check_owners_stay(objs)
        except ValidationError as error:
            protected = [*protected, *error.messages]
        return shown, counts, refused, protected

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            try:
                _check_owners_stay(queryset)
            except ValidationError as error:  # somebody else was faster since the page was shown
                raise PermissionDenied from error
            super().delete_queryset(request, queryset)

    def _removable(self, request: HttpRequest, obj: Membership) -> bool:
        try:
            members.check_role(self.actor(request), obj.organization, Role(obj.role), None)
            members.check_owner_stays(obj.organization, obj)
        except ValidationError:
            return False
        return True


def _check_owners_stay(leaving: Iterable[Membership]) -> None:
    """Raises ValidationError."""
    together: dict[Organization, list[Membership]] = {}
    for membership in leaving:
        together.setdefault(membership.organization, []).append(membership)
    for organization, memberships in together.items():
        members.check_owner_stays(organization, *memberships)


class ApiKeyForm(RequestForm):
    scopes = forms.MultipleChoiceField(
        label=_("rights"),
        choices=[
            ("submit", _("Submit: send answers")),
            ("read", _("Read: list answers and deliveries")),
            ("manage", _("Manage: change forms and actions")),
        ],
        widget=forms.CheckboxSelectMultiple,
        initial=["submit"],
    )

    class Meta:
        model = ApiKey
        fields = ("organization", "name", "scopes", "form", "expires_at")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        organization, form = cleaned.get("organization"), cleaned.get("form")
        if organization is not None and form is not None and form.organization_id != organization.pk:
            raise ValidationError({"form": _("Choose a form of the same organization.")})
        expires = cleaned.get("expires_at")
        if expires is not None and expires <= timezone.now():
            raise ValidationError({"expires_at": _("Choose a time in the future, or leave it empty.")})
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(RequestFormAdmin):
    form = ApiKeyForm
    view_right = Right.ADMIN
    add_right = Right.ADMIN
    change_right = None  # a key is made, used and revoked; what it may do never changes under its user
    delete_right = None
    list_display = ("name", "shown", "organization", "rights", "form", "last_used_at", "expires_at", "works")
    list_filter = (("organization", RelatedOnlyFieldListFilter),)
    list_select_related = ("organization", "form")
    search_fields = ("name", "prefix")
    search_help_text = _("Search by name or by how the key begins")
    actions = ("revoke",)

    @admin.display(description=_("begins with"))
    def shown(self, obj: ApiKey) -> str:
        return f"{obj.prefix}..."

    @admin.display(description=_("rights"))
    def rights(self, obj: ApiKey) -> str:
        return ", ".join(obj.scopes)

    @admin.display(description=_("works"), boolean=True)
    def works(self, obj: ApiKey) -> bool:
        return obj.revoked_at is None and (obj.expires_at is None or obj.expires_at > timezone.now())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made, token = keys.create(
            organization=obj.organization,
            name=obj.name,
            scopes=obj.scopes,
            form_id=obj.form_id,
            expires_at=obj.expires_at,
            created_by=request.user if isinstance(request.user, User) else None,
        )
        obj.pk, obj.prefix, obj.created_at = made.pk, made.prefix, made.created_at
        obj._state.adding = False
        obj.token = token  # for the page that answers this very request, and nowhere else
        self.audit(request, "added", made, {"name": [None, made.name], "scopes": [None, made.scopes]})

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The answer itself shows the token: a message or a redirect would have to store it somewhere."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("Your new API key"),
            "key": obj,
            "opts": self.opts,
        }
        response = TemplateResponse(request, "orgs/api_key_created.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(description=_("Revoke the selected keys"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        count = 0
        for key in queryset.filter(revoked_at__isnull=True):
            if not self.permitted(request, Right.ADMIN, key):
                continue
            keys.revoke(key)
            self.audit(request, "revoked", key, {})
            count += 1
        text = ngettext("%d key no longer works.", "%d keys no longer work.", count) % count
        self.message_user(request, text, messages.SUCCESS)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.permitted(request, Right.ADMIN)


class PersonForm(forms.ModelForm[User]):
    new_password = forms.CharField(
        label=_("new password"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 10 characters. Leave it empty to keep the present one."),
    )

    class Meta:
        model = User
        fields = ("email", "name", "is_active", "is_staff", "is_superuser")

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        if password:
            validate_password(password, self.instance)
        return password

    def save(self, commit: bool = True) -> User:
        if password := self.cleaned_data["new_password"]:
            self.instance.set_password(password)
        elif not self.instance.password:
            self.instance.set_unusable_password()
        return super().save(commit)


@admin.register(User)
class PersonAdmin(ModelAdmin):  # type: ignore[type-arg]
    """Superusers manage people; members see those of their organizations."""

    form = PersonForm
    list_display = ("email", "name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active",)
    search_fields = ("email", "name")
    search_help_text = _("Search by name or e-mail address")
    ordering = ("email",)
    fieldsets = (
        (None, {"fields": ("email", "name", "new_password")}),
        (_("Rights"), {"fields": ("is_active", "is_staff", "is_superuser")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        mine = access.organizations(access.actor(request)).values("pk")
        queryset: QuerySet[Any] = super().get_queryset(request)
        if self._runs_it(request):
            return queryset
        member = Membership.objects.filter(organization__in=mine).values("user_id")
        return queryset.filter(pk__in=member)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if self._runs_it(request):
            return super().get_fieldsets(request, obj)
        return ((None, {"fields": ("email", "name", "is_active")}),)

    def _runs_it(self, request: HttpRequest) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.organizations(access.actor(request)).exists()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._runs_it(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._runs_it(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._runs_it(request)
