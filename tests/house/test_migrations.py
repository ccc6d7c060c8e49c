from io import StringIO

import pytest
from django.core.management import call_command
from pytest_django import DjangoDbBlocker


@pytest.mark.filterwarnings("ignore:Got an error checking a consistent migration history:RuntimeWarning")
def test_no_migration_is_missing(django_db_blocker: DjangoDbBlocker) -> None:
    """The models are compared with the migrations; the database is only asked about history, and may be away."""
    out = StringIO()
    with django_db_blocker.unblock():
        try:
            call_command("makemigrations", "--check", "--dry-run", stdout=out)
        except SystemExit:
            pytest.fail(out.getvalue())
