"""Records for the suites that hold on either database: an empty one on SQLite and one on a real Postgres."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from storage.record.engine import parse_url
from storage.record.record import Record
from tests.data.records import clear, empty_record, sqlite_url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[URL]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
        return
    found = parse_url(request.getfixturevalue("postgres_url"))
    yield found
    clear(found)


@pytest.fixture
def record(url: URL) -> Iterator[Record]:
    with empty_record(url) as made:
        yield made
