"""How operations of the management API are written down: one call per operation, errors and examples included."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

from apps.orgs.api.query import LIMIT, LIMIT_MAX, Filter

View = TypeVar("View", bound=Callable[..., Any])
PROBLEM_TYPE = "application/problem+json"


class FieldErrorSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="A path such as siblings[1].age.", allow_blank=True)
    code = serializers.CharField(help_text="A stable name for programs.")
    message = serializers.CharField()
    params = serializers.DictField(help_text="The values in the message.")


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="A stable name for programs.")
    request_id = serializers.CharField(required=False)
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]


WORDS = {
    400: "The body or a parameter of the address cannot be read.",
    401: "An API key or a session is needed, or the key is not valid.",
    403: "The key's rights, or your role, do not allow this.",
    404: "There is no such thing, or it is not yours.",
    409: "This cannot be done as things stand; `detail` says why.",
    413: "The body is larger than is taken.",
    415: "The body is not application/json.",
    422: "Values need a change, each named in `errors`.",
    429: "The limit of requests is reached; see Retry-After.",
    500: "The error is ours and has been logged.",
    503: "This cannot be done just now; see Retry-After.",
}
ALWAYS = (400, 401, 403, 404, 429, 500, 503)
WITH_BODY = (413, 415, 422)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
    OpenApiParameter.HEADER,
    description="1 to 255 visible ASCII characters. For 48 hours a repetition with the same body is answered the same "
    "and done once.",
)


def operation(
    id: str,
    summary: str,
    *,
    tag: str,
    answer: Any = None,
    example: Any = None,
    status: int = 200,
    description: str = "",
    body: Any = None,
    sent: Any = None,
    creates: bool = False,
    conflict: str = "",
    filters: Mapping[str, Filter] | None = None,
    parameters: Sequence[OpenApiParameter] = (),
    answered: str = "",
) -> Callable[[View], View]:
    """`sent` and `example` are what goes in and what comes out. `filters`: those of a list of pages."""
    shown = list(parameters) + ([IDEMPOTENCY_KEY] if creates else [])
    if filters is not None:
        shown += [*(_of_filter(name, by) for name, by in filters.items()), *_PAGING]
    problems = [*ALWAYS, *(WITH_BODY if body is not None else ()), *((409,) if creates or conflict else ())]
    words = WORDS | ({409: conflict} if conflict else {})
    if creates:
        words |= {409: "The first try with this idempotency key still runs, or its answer was shown once. " + conflict}
        problems += [422] if body is None else []
    good: Any = (
        OpenApiResponse(description=answered or "Done.") if answer is None else OpenApiResponse(answer, answered)
    )
    examples = [] if sent is None else [OpenApiExample("Request", sent, request_only=True)]
    if example is not None:
        examples.append(OpenApiExample("Answer", example, response_only=True, status_codes=[str(status)]))
    decorate: Callable[[View], View] = extend_schema(
        operation_id=id,
        summary=summary,
        description=description or summary + ".",
        tags=[tag],
        parameters=shown,
        request={"application/json": body} if body is not None else None,
        responses={
            (status if answer is None else (status, "application/json")): good,
            **problem_responses(problems, words),
        },
        examples=examples,
    )
    return decorate


def problem_responses(statuses: Iterable[int], words: Mapping[int, str] = WORDS) -> dict[Any, Any]:
    return {
        (status, PROBLEM_TYPE): OpenApiResponse(ProblemSerializer, words[status]) for status in sorted(set(statuses))
    }


def paged(name: str, item: type[serializers.BaseSerializer[Any]]) -> Any:
    """A page of a list, as a component of its own."""
    return inline_serializer(
        name=f"{name}List",
        fields={
            "next": serializers.URLField(allow_null=True, help_text="The page after this one."),
            "previous": serializers.URLField(allow_null=True, help_text="The page before this one."),
            "results": item(many=True),
        },
    )


def a_page(*results: Any) -> dict[str, Any]:
    """The example of a list."""
    return {"next": None, "previous": None, "results": list(results)}


def _of_filter(name: str, by: Filter) -> OpenApiParameter:
    return OpenApiParameter(name, by.schema or OpenApiTypes.STR, description=by.description)


_PAGING = (
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT},
        description="How many entries a page holds at most.",
    ),
    OpenApiParameter("cursor", OpenApiTypes.STR, description="Stands in `next` and `previous`."),
)
