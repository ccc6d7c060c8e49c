"""Pages of organizations outside the admin: accepting an invitation, choosing the organization one works in."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate, login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.orgs import invitations, sign_in, switching
from apps.orgs.invitations import NoInvitationError, NotForThisPersonError, State
from apps.orgs.models import Invitation, User


class SignInForm(forms.Form):
    """For somebody who is known here; the address is the invitation's."""

    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, request: HttpRequest, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.email = email
        self.user: User | None = None

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        attempt = sign_in.Attempt.of(self.request, self.email)
        if not attempt.allowed():
            raise ValidationError(_("Too many tries. Wait a few minutes, then try again."), code="throttled")
        found = authenticate(self.request, username=self.email, password=cleaned.get("password", ""))
        if not isinstance(found, User):
            attempt.failed()
            raise ValidationError({"password": _("This is not the password of this account.")})
        attempt.succeeded()
        self.user = found
        return cleaned


class NewPersonForm(forms.Form):
    """For somebody who is new here."""

    name = forms.CharField(
        label=gettext_lazy("Your name"), max_length=200, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        label=gettext_lazy("New password"),
        strip=False,
        max_length=1000,
        help_text=gettext_lazy("At least 10 characters."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        password = cleaned.get("password")
        if password:
            try:
                validate_password(password, User(email=self.email, name=cleaned.get("name", "")))
            except ValidationError as error:
                self.add_error("password", error)
        return cleaned


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind an invitation's link."""
    try:
        found = invitations.find(token)
    except NoInvitationError:
        return _page(request, None, 404)
    if not invitations.stands(found):
        return _page(request, found, 410, ended=str(invitations.state(found)))
    user = request.user
    if isinstance(user, User):
        if user.email.lower() != found.email:
            return _page(request, found, 403, other=user.email)
        return _join(request, found, user) if request.method == "POST" else _page(request, found)
    return _as_nobody(request, found)


def _as_nobody(request: HttpRequest, found: Invitation) -> HttpResponse:
    account = User.objects.filter(email__iexact=found.email).first()
    sent = request.POST if request.method == "POST" else None
    form: forms.Form
    if account is None:
        form = NewPersonForm(sent, email=found.email)
        if form.is_valid():
            return _welcome(request, found, form.cleaned_data)
    elif account.is_active and account.has_usable_password():
        form = SignInForm(sent, request=request, email=found.email)
        if form.is_valid() and form.user is not None:
            login(request, form.user)
            return _join(request, found, form.user)
    else:
        # A link to one organization must not be a way into an account that others trust already.
        return _page(request, found, 403, locked=True)
    return _page(request, found, 422 if form.errors else 200, form=form)


def _welcome(request: HttpRequest, found: Invitation, given: dict[str, Any]) -> HttpResponse:
    try:
        with transaction.atomic():
            user = User.objects.create_user(found.email, given["password"], name=given["name"])
            invitations.accept(found, user)
    except IntegrityError:  # the same form sent twice at once
        return redirect(request.path)
    except NoInvitationError:
        return _page(request, found, 410, ended=State.REVOKED)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return _inside(request, found)


def _join(request: HttpRequest, found: Invitation, user: User) -> HttpResponse:
    try:
        invitations.accept(found, user)
    except NotForThisPersonError:
        return _page(request, found, 403, other=user.email)
    except NoInvitationError:
        return _page(request, found, 410, ended=State.REVOKED)
    return _inside(request, found)


def _inside(request: HttpRequest, found: Invitation) -> HttpResponse:
    messages.success(request, _("Welcome to %(organization)s.") % {"organization": found.organization})
    return redirect("admin:index")


def _page(request: HttpRequest, found: Invitation | None, status: int = 200, **context: Any) -> HttpResponse:
    response = render(request, "orgs/invitation.html", {"invitation": found, **context}, status=status)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "same-origin"
    return response


@require_POST
@login_required
def switch(request: HttpRequest) -> HttpResponse:
    """Remember the organization that lists of the admin show alone; empty: all of one's own."""
    switching.choose(request, request.POST.get("organization", ""))
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(wanted if safe and wanted.startswith("/") else reverse("admin:index"))
