"""Stands before the intake's addresses: the first of them answers here for both reading and submitting."""

from django.urls import path

from apps.console.api.submissions import SubmissionsView, SubmissionView

urlpatterns = [
    path("forms/<str:form>/submissions", SubmissionsView.as_view(), name="submissions"),
    path("forms/<str:form>/submissions/<uuid:id>", SubmissionView.as_view(), name="submission-resource"),
]
