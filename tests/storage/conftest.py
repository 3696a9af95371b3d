"""A store on real files for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.helpers import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    store = Store(tmp_path)
    yield store
    store.close()
