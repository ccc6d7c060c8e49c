"""Where every address leads. Wiring: nothing imports this module."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from apps.console import health, pages
from apps.console.api import document
from apps.console.status import StatusView
from apps.orgs import pages as orgs_pages
from apps.sinks import pages as sinks_pages

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/v1/openapi.json", document.openapi, name="openapi"),
    path("api/v1/docs/", document.docs, name="api-docs"),
    path("api/v1/", include("apps.console.api.urls")),  # before the intake's: it adds reading to their address
    path("api/v1/", include("apps.intake.api.urls")),
    path("api/v1/", include("apps.forms.api.urls")),
    path("api/v1/", include("apps.sinks.api.urls")),
    path("api/v1/", include("apps.orgs.api.urls")),
    path("", include("apps.intake.urls")),
    path("invitations/<str:token>/", orgs_pages.invitation, name="invitation"),
    path("switch/", orgs_pages.switch, name="switch-organization"),
    path("unsubscribe/", sinks_pages.unsubscribe, name="unsubscribe"),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("submissions/<str:form>/<uuid:id>/", pages.submission, name="submission"),
    path("submissions/<str:form>/<uuid:id>/erase/", pages.erase, name="erase-submission"),
    path("deliveries/", include("apps.console.deliveries.urls")),
    path("status/", StatusView.as_view(), name="status"),
    path("metrics", health.metrics, name="metrics"),
]
