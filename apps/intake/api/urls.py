from django.urls import path

from apps.intake.api.batch import BatchView
from apps.intake.api.submit import SubmitView

urlpatterns = [
    path("forms/<str:form>/submissions", SubmitView.as_view(), name="submissions"),
    path("forms/<str:form>/submissions/batch", BatchView.as_view(), name="submissions-batch"),
]
