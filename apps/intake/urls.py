from django.urls import path

from apps.intake import pages

urlpatterns = [
    path("r/<str:token>/", pages.receipt, name="receipt"),
]
