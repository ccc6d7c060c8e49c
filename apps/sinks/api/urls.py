from django.urls import path

from apps.sinks.api.actions import (
    ActionsView,
    ActionView,
    BacklogView,
    OffView,
    OnView,
    PauseView,
    PreviewNewView,
    PreviewView,
    ReplayView,
    ResumeView,
    TestView,
)
from apps.sinks.api.backfill import BackFillView
from apps.sinks.api.deliveries import DeliveriesView, DeliveryView, FailedView, ReplayFailedView, ReplayOneView
from apps.sinks.api.kinds import SinksView
from apps.sinks.api.summary import FormDeliveriesView

app_name = "sinks"
urlpatterns = [
    path("sinks", SinksView.as_view(), name="sinks"),
    path("forms/<str:form>/actions", ActionsView.as_view(), name="actions"),
    path("forms/<str:form>/actions/preview", PreviewNewView.as_view(), name="preview-new"),
    path("forms/<str:form>/actions/<int:id>", ActionView.as_view(), name="action"),
    path("forms/<str:form>/actions/<int:id>/pause", PauseView.as_view(), name="pause"),
    path("forms/<str:form>/actions/<int:id>/resume", ResumeView.as_view(), name="resume"),
    path("forms/<str:form>/actions/<int:id>/off", OffView.as_view(), name="off"),
    path("forms/<str:form>/actions/<int:id>/on", OnView.as_view(), name="on"),
    path("forms/<str:form>/actions/<int:id>/test", TestView.as_view(), name="test"),
    path("forms/<str:form>/actions/<int:id>/preview", PreviewView.as_view(), name="preview"),
    path("forms/<str:form>/actions/<int:id>/backlog", BacklogView.as_view(), name="backlog"),
    path("forms/<str:form>/actions/<int:id>/replay", ReplayView.as_view(), name="replay"),
    path("forms/<str:form>/actions/<int:id>/backfill", BackFillView.as_view(), name="backfill"),
    path("forms/<str:form>/deliveries", FormDeliveriesView.as_view(), name="form-deliveries"),
    path("deliveries", DeliveriesView.as_view(), name="deliveries"),
    path("deliveries/failed", FailedView.as_view(), name="failed"),
    path("deliveries/failed/replay", ReplayFailedView.as_view(), name="replay-failed"),
    path("deliveries/failed/<int:id>/replay", ReplayOneView.as_view(), name="replay-one"),
    path("deliveries/<uuid:id>", DeliveryView.as_view(), name="delivery"),
]
