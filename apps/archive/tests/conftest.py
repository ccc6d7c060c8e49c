from collections.abc import Iterator

import pytest
from django.db import connection


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """A database in which transactions end for real. The submissions' table is not Django's own: we empty it."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE archive_submission")
