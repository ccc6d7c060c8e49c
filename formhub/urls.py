"""Where every address leads. Wiring: nothing imports this module."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from apps.console import health
from apps.console.status import StatusView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("apps.intake.api.urls")),
    path("api/v1/", include("apps.forms.api.urls")),
    path("", include("apps.intake.urls")),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("status/", StatusView.as_view(), name="status"),
    path("", include("django_prometheus.urls")),
]
