from io import StringIO

import pytest
from django.core.management import call_command


@pytest.mark.filterwarnings("ignore:Got an error checking a consistent migration history:RuntimeWarning")
def test_no_migration_is_missing() -> None:
    out = StringIO()
    try:
        call_command("makemigrations", "--check", "--dry-run", stdout=out)
    except SystemExit:
        pytest.fail(out.getvalue())
