from django.http import Http404
from rest_framework import exceptions

from formhub.core.problem import Problem, body, exception_handler, from_exception


def test_a_problem_names_its_code_request_and_fields() -> None:
    problem = Problem(422, "refused", "Two answers need a change.", errors=[{"field": "age", "code": "max_value"}])

    assert body(problem, "r-1") == {
        "type": "about:blank",
        "title": "Some answers need a change",
        "status": 422,
        "detail": "Two answers need a change.",
        "code": "refused",
        "request_id": "r-1",
        "errors": [{"field": "age", "code": "max_value"}],
    }


def test_nested_validation_errors_become_a_flat_list_with_paths() -> None:
    error = exceptions.ValidationError({"siblings": [{}, {"age": ["Too high."]}], "non_field_errors": ["No."]})

    problem = from_exception(error)

    assert problem is not None
    assert [(found["field"], found["message"]) for found in problem.errors] == [
        ("siblings[1].age", "Too high."),
        ("", "No."),
    ]


def test_a_wait_becomes_retry_after() -> None:
    answer = exception_handler(exceptions.Throttled(wait=7), {})

    assert answer is not None
    assert answer.status_code == 429
    assert answer["Retry-After"] == "7"


def test_not_found_is_a_problem_and_a_defect_is_not() -> None:
    found = from_exception(Http404())

    assert found is not None
    assert found.status == 404
    assert from_exception(KeyError("x")) is None
