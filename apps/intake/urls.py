from django.urls import path

from apps.intake.pages.ending import ending
from apps.intake.pages.form import HostedForm
from apps.intake.pages.receipt import receipt

urlpatterns = [
    path("f/<str:form>/", HostedForm.as_view(), name="form"),
    path("f/<str:form>/done/<str:ending>/", ending, name="ending"),
    path("r/<str:token>/", receipt, name="receipt"),
]
