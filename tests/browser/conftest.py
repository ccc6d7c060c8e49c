"""A real Chromium before the real thing: pages from a live server over real Postgres, Valkey and Kafka."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from apps.forms import definition, published
from apps.forms.models import Form
from apps.intake import process
from apps.intake.accept import accept
from apps.intake.commit import Bounds, Committer
from apps.intake.gate.gate import Gate
from apps.intake.gate.redis import RedisStore
from apps.intake.tests.forms import a_form
from apps.intake.tests.test_services import PARTITIONS, WARM_UP, Log, eventually
from apps.orgs.models import Organization
from formhub.core.stream.kafka import KafkaPublisher

MISSING = (
    "The browser tests need Chromium. Install it with `apt-get install chromium` (as root; `make browser` does that), "
    "then run `.venv/bin/pytest tests/browser`. All else runs without: `.venv/bin/pytest -m 'not browser'`."
)
MANY = {"per_address": "100000/minute"}
KAFKA_SECONDS = 2.0
PATIENCE_MS = 15_000


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail(MISSING, pytrace=False)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright runs an event loop in this thread, beside which Django would refuse the tests' own queries.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        # Without its sandbox: tests run as root in containers, and open nothing but our own pages.
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def log(kafka_service: Any, valkey_service: Any) -> Iterator[Log]:
    """The topic that the live server sends to, with the gate in front of it."""
    log = Log(kafka_service.url)
    publisher = KafkaPublisher([log.server], log.name, PARTITIONS)
    committer = Committer(publisher, Bounds(items=1000, bytes=50_000_000, seconds=KAFKA_SECONDS))
    gate = Gate(RedisStore(valkey_service.url, timeout=2, keep_seconds=600))
    before = process.committer.install(committer), process.gate.install(gate)
    eventually(lambda: accept(a_form(id=WARM_UP), {}).result())
    yield log
    process.committer.install(before[0])
    process.gate.install(before[1])
    committer.close(1)


@pytest.fixture
def publish(transactional_db: None, log: Log) -> Iterator[Callable[..., Form]]:
    """Makes and publishes a form of this definition."""

    def published_form(document: Mapping[str, Any], **changes: Any) -> Form:
        organization, _ = Organization.objects.get_or_create(slug="demo", defaults={"name": "Demo"})
        values = {"slug": f"form-{uuid4().hex[:8]}", "region": "IN", "rates": MANY, **changes}
        form = Form.objects.create(organization=organization, title=document["title"], **values)
        definition.load(form, document)
        definition.publish(form)
        return form

    yield published_form
    published.clear()


@pytest.fixture
def address(live_server: Any) -> Callable[..., str]:
    def of(form: Form, query: str = "") -> str:
        return f"{live_server.url}/f/{form.public_id}/{query}"

    return of


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
