"""What tests of the whole share. A module that starts much for many tests has a fixture of its own by the same name."""

from collections.abc import Iterator

import pytest

from sheets_emulator.emulator import SheetsEmulator


@pytest.fixture
def emulator() -> Iterator[SheetsEmulator]:
    with SheetsEmulator(quota_scale=20) as running:
        yield running
