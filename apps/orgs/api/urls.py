from django.urls import path

from apps.orgs.api.keys import ApiKeysView, ApiKeyView
from apps.orgs.api.members import InvitationsView, InvitationView, MembershipsView, MembershipView
from apps.orgs.api.organizations import OrganizationsView, OrganizationView
from apps.orgs.api.trail import AuditView

app_name = "orgs"
urlpatterns = [
    path("organizations", OrganizationsView.as_view(), name="organizations"),
    path("organizations/<uuid:id>", OrganizationView.as_view(), name="organization"),
    path("memberships", MembershipsView.as_view(), name="memberships"),
    path("memberships/invitations", InvitationsView.as_view(), name="invitations"),
    path("memberships/invitations/<uuid:id>", InvitationView.as_view(), name="invitation"),
    path("memberships/<int:id>", MembershipView.as_view(), name="membership"),
    path("api-keys", ApiKeysView.as_view(), name="api-keys"),
    path("api-keys/<int:id>", ApiKeyView.as_view(), name="api-key"),
    path("audit", AuditView.as_view(), name="audit"),
]
