"""The words and examples of forms in the OpenAPI document."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from apps.forms import document
from apps.forms.api import serializers as forms
from apps.orgs.api.openapi import a_page, operation, paged
from apps.orgs.api.query import Filter

View = TypeVar("View", bound=Callable[..., Any])
FORMS, FIELDS, PUBLISHING = "Forms", "Fields", "Publishing"
DEFINITION = {"$ref": "#/components/schemas/Definition"}
NAME = OpenApiParameter("form", OpenApiTypes.STR, OpenApiParameter.PATH, description="Public id or organization~slug.")
FIELD_ID = OpenApiParameter("id", OpenApiTypes.INT, OpenApiParameter.PATH, description="The field's id.")
NUMBER = OpenApiParameter("number", OpenApiTypes.INT, OpenApiParameter.PATH, description="The version's number.")

FORM = {
    "id": "k7m2qhx4w9tc",
    "organization": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "title": "Student data",
    "slug": "student-data",
    "languages": ["en"],
    "region": "IN",
    "ending": {"title": "Thank you.", "text": ""},
    "key_required": False,
    "allowed_origins": [],
    "closed_at": None,
    "closed_text": "",
    "limits": {"per_address": "", "per_key": "", "per_form": ""},
    "state": "live",
    "version": 3,
    "created_at": "2026-11-03T09:14:07.512345Z",
    "updated_at": "2026-11-03T09:20:41.000000Z",
}
FIELD = {
    "id": 41,
    "parent": None,
    "position": 1,
    "type": "decimal",
    "key": "cgpa",
    "label": "CGPA",
    "help": "From 0 to 10.",
    "required": False,
    "settings": {"min": 0, "max": 10, "decimal_places": 2},
    "published": True,
}
DOCUMENT = {
    "format": "formhub/1",
    "title": "Student data",
    "languages": ["en"],
    "pages": [
        {
            "key": "p1",
            "elements": [
                {"type": "short_text", "key": "name", "label": "Name", "required": True},
                {"type": "decimal", "key": "cgpa", "label": "CGPA", "settings": {"min": 0, "max": 10}},
            ],
        }
    ],
    "endings": [{"key": "thanks", "title": "Thank you."}],
    "settings": {},
}
VERSION = {
    "number": 3,
    "live": True,
    "questions": 2,
    "published_at": "2026-11-03T09:20:41.000000Z",
    "published_by": "olivia@example.org",
}
CHANGE = {
    "what": "changed",
    "key": "cgpa",
    "member": "settings.max",
    "words": "“CGPA”: max is now 10.",
    "before": 4,
    "after": 10,
}
TYPE = {
    "name": "short_text",
    "label": "Short text",
    "description": "One line of text.",
    "answerable": True,
    "container": False,
    "settings_schema": {
        "type": "object",
        "properties": {"max_length": {"type": "integer", "minimum": 1, "maximum": 50000}},
        "additionalProperties": False,
    },
    "settings_example": {},
    "answer_schema": {"type": "string", "maxLength": 200},
    "answer_example": "Sample text",
    "accessibility": "A label tied to its input; hint and error are named by aria-describedby.",
}

Decorator = Callable[[View], View]


def list_forms(filters: Mapping[str, Filter]) -> Callable[[View], View]:
    return operation(
        "list_forms",
        "List forms",
        tag=FORMS,
        description="The forms of the caller's organizations, newest first.",
        answer=paged("Form", forms.FormSerializer),
        example=a_page(FORM),
        filters=filters,
    )


create_form: Decorator[Any] = operation(
    "create_form",
    "Create a form",
    tag=FORMS,
    description="A form with an empty draft: add fields, or put a definition, then publish.",
    body=forms.NewFormSerializer,
    sent={"title": "Student data", "languages": ["en"], "region": "IN"},
    answer=forms.FormSerializer,
    example=FORM | {"state": "draft", "version": None},
    status=201,
    creates=True,
)
read_form: Decorator[Any] = operation(
    "read_form", "Get a form", tag=FORMS, parameters=[NAME], answer=forms.FormSerializer, example=FORM
)
change_form: Decorator[Any] = operation(
    "change_form",
    "Change a form",
    tag=FORMS,
    description="Changes what is sent and nothing else. A form is closed and opened by `closed_at`.",
    parameters=[NAME],
    body=forms.FormSerializer,
    sent={"closed_at": "2026-12-31T23:59:59Z", "closed_text": "Come back next year."},
    answer=forms.FormSerializer,
    example=FORM | {"closed_at": "2026-12-31T23:59:59Z", "closed_text": "Come back next year."},
)
delete_form: Decorator[Any] = operation(
    "delete_form",
    "Delete a form",
    tag=FORMS,
    description=(
        "With its draft, its versions and its actions, and **all of its submissions: they are erased for good**, "
        "within minutes. What was delivered is not reached. Only a form that takes no answers: close it first."
    ),
    parameters=[
        NAME,
        OpenApiParameter(
            "submissions",
            OpenApiTypes.STR,
            enum=["erase"],
            description="Needed if the form has submissions: they are erased with it.",
        ),
    ],
    status=204,
    answered="The form is gone.",
    conflict="The form still takes answers, or has submissions of which nothing was said.",
)
list_fields: Decorator[Any] = operation(
    "list_fields",
    "List the fields of a draft",
    tag=FIELDS,
    description="All of them, each after what it lies in.",
    parameters=[NAME],
    answer=paged("Field", forms.FieldSerializer),
    example=a_page(FIELD),
)
create_field: Decorator[Any] = operation(
    "create_field",
    "Add a field to the draft",
    tag=FIELDS,
    description=(
        "Without `parent` it stands at the top: a question then belongs to the page before it. Without `position` it "
        "comes last. What the settings of a type are is said by /field-types."
    ),
    parameters=[NAME],
    body=forms.FieldSerializer,
    sent={"type": "decimal", "label": "CGPA", "settings": {"min": 0, "max": 10, "decimal_places": 2}},
    answer=forms.FieldSerializer,
    example=FIELD | {"published": False},
    status=201,
    creates=True,
)
read_field: Decorator[Any] = operation(
    "read_field",
    "Get a field of the draft",
    tag=FIELDS,
    parameters=[NAME, FIELD_ID],
    answer=forms.FieldSerializer,
    example=FIELD,
)
change_field: Decorator[Any] = operation(
    "change_field",
    "Change or move a field",
    tag=FIELDS,
    description=(
        "Changes what is sent and nothing else. `parent` and `position` move it, with all that lies in it. A key that "
        "was published stays."
    ),
    parameters=[NAME, FIELD_ID],
    body=forms.FieldSerializer,
    sent={"position": 0, "required": True},
    answer=forms.FieldSerializer,
    example=FIELD | {"position": 0, "required": True},
)
delete_field: Decorator[Any] = operation(
    "delete_field",
    "Delete a field from the draft",
    tag=FIELDS,
    description="With all that lies in it. Versions that were published keep it.",
    parameters=[NAME, FIELD_ID],
    status=204,
    answered="The field is gone.",
)
list_field_types: Decorator[Any] = operation(
    "list_field_types",
    "List the types of fields",
    tag=FIELDS,
    description="Each with the JSON Schema of its settings and an example of its answer.",
    answer=paged("FieldType", forms.FieldTypeSerializer),
    example=a_page(TYPE),
)
review_draft: Decorator[Any] = operation(
    "review_draft",
    "See what publishing would do",
    tag=PUBLISHING,
    description="What stands in the way of publishing the draft, and how it differs from what is published.",
    parameters=[NAME],
    answer=forms.DraftReviewSerializer,
    example={
        "publishable": False,
        "changed": True,
        "problems": [
            {
                "path": "pages[0].elements[1].settings.choices",
                "field": 42,
                "message": "Add at least one choice.",
            }
        ],
        "changes": [CHANGE],
    },
)
publish_form: Decorator[Any] = operation(
    "publish_form",
    "Publish the draft",
    tag=PUBLISHING,
    description=(
        "Makes the draft the version that takes answers, and answers with it. Without changes since the last time "
        "nothing happens. What stands in the way is listed in `errors`: the path in the definition, and in `params` "
        "the id of the field."
    ),
    parameters=[NAME],
    answer=forms.VersionSerializer,
    example=VERSION,
    creates=True,
)
read_definition: Decorator[Any] = operation(
    "read_definition",
    "Export the draft",
    tag=PUBLISHING,
    description="The draft as a document of the format formhub/1.",
    parameters=[NAME],
    answer=DEFINITION,
    example=DOCUMENT,
)
replace_definition: Decorator[Any] = operation(
    "replace_definition",
    "Replace the draft",
    tag=PUBLISHING,
    description=(
        "Imports a document of the format formhub/1. Title, languages and ending become the document's. What would "
        "only stand in the way of publishing is taken."
    ),
    parameters=[NAME],
    body=DEFINITION,
    sent=DOCUMENT,
    answer=DEFINITION,
    example=DOCUMENT,
)
list_versions: Decorator[Any] = operation(
    "list_versions",
    "List the versions of a form",
    tag=PUBLISHING,
    description="What was published, newest first. Versions never change.",
    parameters=[NAME],
    answer=paged("Version", forms.VersionSerializer),
    example=a_page(VERSION),
    filters={},
)
read_version: Decorator[Any] = operation(
    "read_version",
    "Get a version",
    tag=PUBLISHING,
    parameters=[NAME, NUMBER],
    answer=forms.VersionDetailSerializer,
    example=VERSION
    | {
        "definition": DOCUMENT,
        "schema": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 200}}},
    },
)
compare_versions: Decorator[Any] = operation(
    "compare_versions",
    "Compare two versions in words",
    tag=PUBLISHING,
    parameters=[
        NAME,
        NUMBER,
        OpenApiParameter(
            "from",
            {"type": "string", "pattern": "^(draft|[0-9]{1,18})$"},
            description="The other version's number, or draft. Without it: the version before.",
        ),
    ],
    answer=forms.DefinitionDiffSerializer,
    example={"before": "2", "after": "3", "changes": [CHANGE]},
)
restore_version: Decorator[Any] = operation(
    "restore_version",
    "Take a version back into the draft",
    tag=PUBLISHING,
    description="The draft becomes what the version is. Nothing changes for people until it is published.",
    parameters=[NAME, NUMBER],
    answer=DEFINITION,
    example=DOCUMENT,
)


def add_definition(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Puts the schema of definitions, and its parts, among the document's components (a spectacular hook)."""
    components = result.setdefault("components", {}).setdefault("schemas", {})
    parts: dict[str, Any] = document.SCHEMA["$defs"]
    whole = {name: value for name, value in document.SCHEMA.items() if name not in {"$defs", "$schema"}}
    for name, schema in {"": whole, **parts}.items():
        written = json.dumps(schema)
        for part in parts:
            written = written.replace(f'"#/$defs/{part}"', f'"#/components/schemas/{_component(part)}"')
        components[_component(name)] = json.loads(written)
    result["components"]["schemas"] = dict(sorted(components.items()))
    return result


def _component(part: str) -> str:
    return f"Definition{part.capitalize()}"
