"""Files that are no CSV, or one with a strange line: what is said is what is wrong with it."""

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from models.errors import BadHistoryError, TooLittleHistoryError
from storage.history.clean import Cleaned, Cleaner
from tests.data.exports import HEADER, read, refusal, rejected, write

GOOD = "a,p,2020-01-01\n"


def test_a_line_that_ends_in_cr_alone_among_others_is_rejected_as_that(tmp_path: Path) -> None:
    write(tmp_path, f"{HEADER}a,p,2020-01-01\rb,p,2020-01-02\nc,p,2020-01-03\r\n")
    assert read(tmp_path).customer_ids == ["c"]
    assert rejected(tmp_path).select("line", "reason").rows() == [("2", "line: a line end of CR alone")]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("columns", [["product_id", "title", "Gruppe"], ["Gruppe", "title", "product_id"]])
def test_the_header_amid_the_lines_is_no_line(tmp_path: Path, columns: list[str], mark: str) -> None:
    cells = {"product_id": ["p", "product_id"], "title": ["Tea", "title"], "Gruppe": ["a", "b"]}
    header, p, product_id = (
        ",".join(line) for line in (columns, *zip(*(cells[name] for name in columns), strict=True))
    )
    write(tmp_path, HEADER + GOOD)
    write(tmp_path, f"{header}\n{p}\n{product_id}\n{mark}{header}\n", "products.csv")
    history = read(tmp_path, products={"columns": {"category": "Gruppe"}})
    assert history.products["product_id"].sort().to_list() == ["p", "product_id"]  # b is no header
    assert history.counts["products"].left_out == {"the header again": 1}


@pytest.mark.parametrize("end", ["", '"open\n'])  # read quickly, and line by line
def test_a_title_of_megabytes_is_rejected_as_too_long(tmp_path: Path, end: str) -> None:
    header = "customer_id,product_id,purchased_at,title\n"
    kept = "x" * 65_536
    write(
        tmp_path, f"{header}a,p,2020-01-01,{kept}x\nb,q,2020-01-01,{kept}\nc,r,2020-01-01,{kept * 3}\n{end}"
    )
    history = read(tmp_path)
    assert history.products["title"].to_list() == [kept]
    reasons = dict(rejected(tmp_path).select("line", "reason").iter_rows())
    long = "line: a cell over 131,072 characters" if end else "title: over 65,536 bytes"
    assert (reasons["2"], reasons["4"]) == ("title: over 65,536 bytes", long)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04\x14\0", "this is a spreadsheet or a zip archive, not CSV: save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "this is a spreadsheet, not CSV: save it as CSV"),
        (b"\x1f\x8b\x08\0", "this is packed by gzip: call it .csv.gz"),
        (b"PAR1\x15\x04", "this is Parquet: call it .parquet"),
    ],
)
def test_what_is_no_csv_whatever_its_name_says_is_called_what_it_is(
    tmp_path: Path, start: bytes, what: str, encoding: str
) -> None:
    assert refusal(write(tmp_path, start + b"\n,"), encoding=encoding) == f"purchases.csv: {what}"


def test_a_table_that_is_there_in_a_form_that_is_not_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, b"PK\x03\x04", "purchases.xlsx")
    assert refusal(tmp_path) == (
        f"{tmp_path}: no purchases.csv, .csv.gz or .parquet (purchases.xlsx is neither): set path in "
        "[history.purchases]"
    )


def test_where_no_line_was_kept_it_is_said_what_became_of_them(tmp_path: Path) -> None:
    write(tmp_path, HEADER + GOOD * 3 + ",p,2020-01-01\n" * 1000 + "c,p,never\n")
    options = {"skip_anonymous": True, "exclude_products": ["p"]}
    with pytest.raises(TooLittleHistoryError) as caught:
        read(tmp_path, purchases=options)
    assert str(caught.value) == (
        f"too little history: no purchase in {tmp_path}: of 1,004 lines none was kept "
        "(excluded product: 1,004)"
    )
    with pytest.raises(TooLittleHistoryError, match=r"\(purchased_at: not a time: 1,002, no customer: 2\)$"):
        write(tmp_path, HEADER + ",p,2020-01-01\n" * 2 + "c,p,never\n" * 1002)
        read(tmp_path, purchases={"skip_anonymous": True})


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Something happens to the files while their first lines are looked at."""
    clean = Cleaner.clean

    def interrupted(cleaner: Cleaner, batch: pl.DataFrame, file: str) -> Cleaned:
        if cleaner.table.name == "purchases":
            happens()
        return clean(cleaner, batch, file)

    monkeypatch.setattr(Cleaner, "clean", interrupted)


@pytest.mark.parametrize("name", ["purchases.csv", "purchases.csv.gz", "purchases.parquet"])
def test_a_file_that_is_written_to_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    write(tmp_path, gzip.compress((HEADER + GOOD).encode()) if name.endswith(".gz") else HEADER + GOOD, name)
    if name.endswith(".parquet"):
        frame = pl.DataFrame({"customer_id": ["a"], "product_id": ["p"], "purchased_at": ["2020-01-01"]})
        frame.write_parquet(path)
    assert read(tmp_path).customer_ids == ["a"]

    def append() -> None:
        with path.open("ab") as file:
            file.write(b"b,p,2020-01-01\n")

    meanwhile(monkeypatch, append)
    with pytest.raises(BadHistoryError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        f"{name}: it was written to while it was read: export to another name, and rename it when it is whole"
    )


def test_a_file_that_a_whole_one_replaces_while_it_is_read_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, HEADER + GOOD)
    write(tmp_path, HEADER + GOOD * 2, "new.part")

    def replace() -> None:
        if (tmp_path / "new.part").exists():
            (tmp_path / "new.part").rename(tmp_path / "purchases.csv")

    meanwhile(monkeypatch, replace)
    assert read(tmp_path).purchases.height == 2
