from django.urls import path

from apps.sinks.api.actions import ActionsView, ActionView, OffView, OnView, PauseView, ResumeView, TestView
from apps.sinks.api.deliveries import DeliveriesView, DeliveryView, FailedView
from apps.sinks.api.kinds import SinksView

app_name = "sinks"
urlpatterns = [
    path("sinks", SinksView.as_view(), name="sinks"),
    path("forms/<str:form>/actions", ActionsView.as_view(), name="actions"),
    path("forms/<str:form>/actions/<int:id>", ActionView.as_view(), name="action"),
    path("forms/<str:form>/actions/<int:id>/pause", PauseView.as_view(), name="pause"),
    path("forms/<str:form>/actions/<int:id>/resume", ResumeView.as_view(), name="resume"),
    path("forms/<str:form>/actions/<int:id>/off", OffView.as_view(), name="off"),
    path("forms/<str:form>/actions/<int:id>/on", OnView.as_view(), name="on"),
    path("forms/<str:form>/actions/<int:id>/test", TestView.as_view(), name="test"),
    path("deliveries", DeliveriesView.as_view(), name="deliveries"),
    path("deliveries/failed", FailedView.as_view(), name="failed"),
    path("deliveries/<uuid:id>", DeliveryView.as_view(), name="delivery"),
]
