import orjson
import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from formhub.core.requests import ProblemMiddleware, RequestIdMiddleware, client_address


def through(middleware: type, request: HttpRequest, response: HttpResponse) -> HttpResponse:
    answer = middleware(lambda _: response)(request)
    assert isinstance(answer, HttpResponse)
    return answer


def test_a_sane_request_id_is_taken_over() -> None:
    request = RequestFactory().get("/", headers={"X-Request-ID": "abc-12345"})

    assert through(RequestIdMiddleware, request, HttpResponse())["X-Request-ID"] == "abc-12345"


@pytest.mark.parametrize("sent", ["", "short", "a b c d e f g h", "x" * 129, "héllo-wörld"])
def test_any_other_request_id_is_replaced(sent: str) -> None:
    request = RequestFactory().get("/", headers={"X-Request-ID": sent})

    assert through(RequestIdMiddleware, request, HttpResponse())["X-Request-ID"] != sent


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        pytest.param(0, "9.9.9.9", "127.0.0.1", id="nobody is trusted"),
        pytest.param(1, "1.1.1.1, 2.2.2.2", "2.2.2.2", id="one proxy saw the last hop"),
        pytest.param(2, "1.1.1.1, 2.2.2.2", "1.1.1.1", id="two proxies"),
        pytest.param(2, "2.2.2.2", "127.0.0.1", id="fewer hops than proxies"),
    ],
)
def test_the_callers_address_is_what_a_trusted_proxy_saw(
    settings: Settings, proxies: int, forwarded: str, address: str
) -> None:
    settings.TRUSTED_PROXIES = proxies

    assert client_address(RequestFactory().get("/", headers={"X-Forwarded-For": forwarded})) == address


def test_an_error_page_on_the_api_becomes_a_problem_and_keeps_its_headers() -> None:
    response = HttpResponse("<h1>no</h1>", status=405, headers={"Allow": "GET"})

    answer = through(ProblemMiddleware, RequestFactory().post("/api/v1/x"), response)

    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Allow"] == "GET"
    assert orjson.loads(answer.content)["code"] == "method_not_allowed"


def test_an_error_page_elsewhere_stays_a_page() -> None:
    response = HttpResponse("<h1>no</h1>", status=404)

    assert through(ProblemMiddleware, RequestFactory().get("/f/x/"), response).content == b"<h1>no</h1>"
