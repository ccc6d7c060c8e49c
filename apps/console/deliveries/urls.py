from django.urls import path

from apps.console.deliveries import doing, pages

urlpatterns = [
    path("actions/<int:action>/", pages.of_action, name="action-deliveries"),
    path("<str:form>/", pages.overview, name="deliveries"),
    path("<str:form>/hours/", pages.hours, name="deliveries-hours"),
    path("<str:form>/list/", pages.deliveries, name="deliveries-list"),
    path("<str:form>/failed/", pages.failed, name="deliveries-failed"),
    path("<str:form>/replay/", doing.replay_asked, name="deliveries-replay"),
    path("<str:form>/<uuid:id>/", pages.delivery, name="delivery"),
    path("<str:form>/actions/<int:action>/fill/", doing.back_fill, name="deliveries-fill"),
    path("<str:form>/actions/<int:action>/<slug:verb>/", doing.act, name="deliveries-act"),
]
