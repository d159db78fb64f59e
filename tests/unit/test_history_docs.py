"""docs/data.md is true: its example reads a web shop's export, and every column stands in it."""

import re
import tomllib
from pathlib import Path

from storage.tables import TABLES
from tests.data.exports import read, web_shop_export, write

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def test_the_example_reads_a_web_shops_export(tmp_path: Path) -> None:
    history = read(
        write(tmp_path, web_shop_export(1_000), "online.csv"), **tomllib.loads(block("toml"))["history"]
    )
    assert history.rejected == 0
    assert set(history.products["product_id"]) == {"85123A", "71053", "22752"}
    assert history.products["title"].null_count() == 0


def test_the_first_nights_file_needs_no_configuration(tmp_path: Path) -> None:
    assert set(read(write(tmp_path, block("csv"))).customer_ids) == {"42", "007"}


def test_every_column_stands_on_the_page() -> None:
    words = set(re.findall(r"\w+", PAGE))
    assert {column.name for table in TABLES.values() for column in table.columns} <= words
