from django.urls import path

from apps.intake.pages.ending import ending
from apps.intake.pages.form import hosted_form
from apps.intake.pages.receipt import receipt

urlpatterns = [
    path("f/<str:form>/", hosted_form, name="form"),
    path("f/<str:form>/done/<str:ending>/", ending, name="ending"),
    path("r/<str:token>/", receipt, name="receipt"),
]
