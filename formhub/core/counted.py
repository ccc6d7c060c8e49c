"""django-prometheus's measurements of requests, for views that are asked thousands of times a second."""

from typing import Any

from django.http import HttpRequest
from django_prometheus.middleware import PrometheusAfterMiddleware
from django_prometheus.utils import Time


class CountedMiddleware(PrometheusAfterMiddleware):  # type: ignore[misc]
    """The same metrics with the same labels, but each is looked up once, and no header is read that is not counted."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self._labelled: dict[Any, Any] = {}

    def label_metric(self, metric: Any, request: HttpRequest, response: Any = None, **labels: str) -> Any:
        key = (metric, *labels.values())
        found = self._labelled.get(key)
        if found is None:
            found = self._labelled[key] = super().label_metric(metric, request, response, **labels)
        return found

    def process_request(self, request: HttpRequest) -> None:
        self.label_metric(self.metrics.requests_by_method, request, method=self._method(request)).inc()
        self.label_metric(self.metrics.requests_by_transport, request, transport=self._transport(request)).inc()
        self.metrics.requests_body_bytes.observe(int(request.META.get("CONTENT_LENGTH") or 0))
        request.prometheus_after_middleware_event = Time()  # type: ignore[attr-defined]
