"""The admin site: open to every member of an organization, each seeing only what is theirs."""

from typing import Any

from csp.decorators import csp_replace
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from apps.orgs import sign_in, switching
from apps.orgs.models import User
from apps.orgs.theme import AdminSite, LoginForm

# The theme's scripts evaluate expressions and its styles are inline; nothing outside the admin may.
POLICY = {
    "script-src": ["'self'", "'unsafe-eval'", "'unsafe-inline'"],
    "style-src": ["'self'", "'unsafe-inline'"],
}


def may_enter(user: Any) -> bool:
    if not isinstance(user, User) or not user.is_active:
        return False
    return user.is_superuser or user.memberships.exists()


class MemberLoginForm(LoginForm):
    """Sign-in for members. Too many failed tries for one account from one address have to wait."""

    def clean(self) -> dict[str, Any]:
        account = str(self.cleaned_data.get("username", ""))
        attempt = sign_in.Attempt.of(self.request, account)
        if not attempt.allowed():
            raise ValidationError(_("Too many tries. Wait a few minutes, then try again."), code="throttled")
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            attempt.failed()
            raise
        attempt.succeeded()
        return cleaned

    def confirm_login_allowed(self, user: Any) -> None:
        AuthenticationForm.confirm_login_allowed(self, user)
        if not may_enter(user):
            raise ValidationError(
                _("You are not a member of an organization yet. Ask its owner to add you."), code="no_membership"
            )


class FormHubAdminSite(AdminSite):
    site_header = "FormHub"
    site_title = "FormHub"
    index_title = _("Overview")
    login_form = MemberLoginForm
    index_template = "orgs/index.html"

    def has_permission(self, request: HttpRequest) -> bool:
        return may_enter(request.user)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context: dict[str, Any] = super().each_context(request)
        if not self.has_permission(request):
            return context
        chooser = {
            "organizations_offered": switching.offered(request),
            "organization_chosen": switching.chosen(request),
        }
        return context | chooser

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        return csp_replace(POLICY)(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        sign_in_page: Any = csp_replace(POLICY)(super().login)
        answer: HttpResponse = sign_in_page(request, extra_context)
        return answer
