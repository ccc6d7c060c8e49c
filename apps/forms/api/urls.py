from django.urls import path

from apps.forms.api.field_types import FieldTypesView
from apps.forms.api.fields import FieldsView, FieldView
from apps.forms.api.forms import FormsView, FormView
from apps.forms.api.publishing import (
    DefinitionView,
    DiffView,
    PublishView,
    RestoreView,
    VersionsView,
    VersionView,
)
from apps.forms.api.schema import SchemaView

app_name = "forms"
urlpatterns = [
    path("field-types", FieldTypesView.as_view(), name="field-types"),
    path("forms", FormsView.as_view(), name="forms"),
    path("forms/<str:form>", FormView.as_view(), name="form"),
    path("forms/<str:form>/schema", SchemaView.as_view(), name="schema"),
    path("forms/<str:form>/fields", FieldsView.as_view(), name="fields"),
    path("forms/<str:form>/fields/<int:id>", FieldView.as_view(), name="field"),
    path("forms/<str:form>/definition", DefinitionView.as_view(), name="definition"),
    path("forms/<str:form>/publish", PublishView.as_view(), name="publish"),
    path("forms/<str:form>/versions", VersionsView.as_view(), name="versions"),
    path("forms/<str:form>/versions/<int:number>", VersionView.as_view(), name="version"),
    path("forms/<str:form>/versions/<int:number>/diff", DiffView.as_view(), name="diff"),
    path("forms/<str:form>/versions/<int:number>/restore", RestoreView.as_view(), name="restore"),
]
