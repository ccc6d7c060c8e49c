from django.urls import path

from apps.forms.api.schema import SchemaView

app_name = "forms"
urlpatterns = [path("forms/<str:form>/schema", SchemaView.as_view(), name="schema")]
