from collections.abc import Iterator

import pytest

from apps.forms import published
from apps.intake.tests.conftest import committer, gate, topic
from apps.orgs import keys

__all__ = ["committer", "gate", "topic"]


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Forms and keys are cached by the process; each test begins with its own."""
    published.clear()
    keys.clear_cache()
    yield
    published.clear()
    keys.clear_cache()
