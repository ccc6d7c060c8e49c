"""The intake's addresses alone."""

from django.urls import include, path

urlpatterns = [path("api/v1/", include("apps.intake.api.urls")), path("", include("apps.intake.urls"))]
