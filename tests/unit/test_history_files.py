"""Files as they arrive: cut off, wrongly encoded, quoted badly, split in many, or not there."""

import gzip
import re
import tomllib
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadHistoryError
from storage.files.safe_cell import safe_cell
from storage.history import csv_files
from storage.history.csv_files import DamagedCsvError, careful_batches, plain_utf8, quick_batches
from tests.data.exports import HEADER, WEB_SHOP_OPTIONS, read, refusal, rejected, web_shop_export, write

LINES = "".join(f"c{i},p{i % 3},2020-01-{1 + i % 28:02} 10:00:00\n" for i in range(400))


def test_a_csv_cut_in_the_middle_of_a_line_loses_only_that_line(tmp_path: Path) -> None:
    history = read(write(tmp_path, (HEADER + LINES)[:-50]))
    assert (history.purchases.height, history.rejected) == (398, 1)
    assert rejected(tmp_path).row(0) == (
        "purchases",
        "purchases.csv",
        "400",
        "line: fewer fields than the header",
        '"c398,p"',
    )


def test_a_csv_cut_in_the_middle_of_a_quoted_cell_loses_only_that_line(tmp_path: Path) -> None:
    history = read(write(tmp_path, HEADER + 'a,p,2020-01-01\nb,"p, and'))
    assert (history.customer_ids, history.rejected) == (["a"], 1)


@pytest.mark.parametrize("keep", [30, 0.5, 0.9])
def test_a_gzip_cut_off_is_refused(tmp_path: Path, keep: float) -> None:
    packed = gzip.compress((HEADER + LINES).encode())
    write(tmp_path, packed[: int(keep if keep > 1 else keep * len(packed))], "purchases.csv.gz")
    assert refusal(tmp_path).startswith("purchases.csv.gz: damaged gzip file")


def test_a_gzip_with_a_changed_byte_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress((HEADER + LINES).encode()))
    packed[len(packed) // 2] ^= 0xFF
    write(tmp_path, bytes(packed), "purchases.csv.gz")
    assert "damaged gzip file" in refusal(tmp_path)


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.99])
def test_a_parquet_file_cut_off_is_refused(tmp_path: Path, keep: float) -> None:
    pl.read_csv((HEADER + LINES).encode()).write_parquet(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    write(tmp_path, whole[: int(keep * len(whole))], "purchases.parquet")
    assert refusal(tmp_path).startswith("purchases.parquet: not a readable Parquet file")


@pytest.mark.parametrize("name", ["purchases.csv", "purchases.parquet"])
def test_an_empty_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    assert refusal(write(tmp_path, b"", name)).startswith(f"{name}: the file is empty")


def test_an_empty_gzip_is_refused(tmp_path: Path) -> None:
    assert "the file is empty" in refusal(write(tmp_path, gzip.compress(b""), "purchases.csv.gz"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_another_separator_is_guessed_in_the_message_only(tmp_path: Path, separator: str) -> None:
    write(tmp_path, (HEADER + "a,p,2020-01-01\n").replace(",", separator))
    told = refusal(tmp_path, purchases={"separator": "|" if separator == "," else ","})
    line = re.search("set (separator = .+) in \\[history.purchases]", told)
    assert line is not None
    assert tomllib.loads(line[1]) == {"separator": separator}  # as it would be copied into nextbest.toml
    assert read(tmp_path, purchases={"separator": separator}).customer_ids == ["a"]


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_first_line_for_excel_is_refused_by_what_it_is(tmp_path: Path, separator: str) -> None:
    content = f"sep={separator}\n" + (HEADER + "a,p,2020-01-01\n").replace(",", separator)
    write(tmp_path, content)
    assert "the first line, sep=, is a word to Excel" in refusal(tmp_path, purchases={"separator": separator})


def test_wrong_encoding_rejects_the_lines_and_names_the_option_when_they_are_too_many(tmp_path: Path) -> None:
    write(tmp_path, (HEADER + "a,p,2020-01-01\nJosé,p,2020-01-01\nZoë,p,2020-01-01\n").encode("cp1252"))
    history = read(tmp_path)
    assert history.customer_ids == ["a"]
    assert history.counts["purchases"].rejected == {"line: bytes that are not utf-8": 2}
    assert rejected(tmp_path)["row"].to_list()[0] == '"Jos\\\\xe9,p,2020-01-01"'
    assert 'set encoding in [history] or [history.purchases], such as "cp1252"' in refusal(
        tmp_path, max_reject_share=0.1
    )
    assert set(read(tmp_path, encoding="latin-1").customer_ids) == {"a", "José", "Zoë"}


@pytest.mark.parametrize("name", ["purchases.csv", "purchases.csv.gz"])
def test_a_byte_order_mark_of_utf_8_goes_before_the_encoding_that_is_said(tmp_path: Path, name: str) -> None:
    content = (HEADER + "José,p,2020-01-01\n").encode("utf-8-sig")
    write(tmp_path, gzip.compress(content) if name.endswith(".gz") else content, name)
    write(tmp_path, "product_id,title\np,Über\n".encode("cp1252"), "products.csv")
    history = read(tmp_path, encoding="cp1252")
    assert (history.customer_ids, history.products["title"].to_list()) == (["José"], ["Über"])


def test_a_table_may_have_an_encoding_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "José,p,2020-01-01\n")
    write(tmp_path, "product_id,title\np,Über\n".encode("cp1252"), "products.csv")
    history = read(tmp_path, products={"encoding": "cp1252"})
    assert (history.customer_ids, history.products["title"].to_list()) == (["José"], ["Über"])
    with pytest.raises(ValueError, match="no encoding 'cp99999'"):
        read(tmp_path, products={"encoding": "cp99999"})


def test_a_byte_that_the_encoding_does_not_have_costs_its_line_only(tmp_path: Path) -> None:
    write(tmp_path, (HEADER + "José,p,2020-01-01\n").encode("cp1252") + b"\x81,p,2020-01-01\n")
    history = read(tmp_path, encoding="cp1252")
    assert history.customer_ids == ["José"]
    assert history.counts["purchases"].rejected == {"line: bytes that are not cp1252": 1}


def test_a_header_in_another_encoding_is_refused_with_a_likely_one(tmp_path: Path) -> None:
    write(tmp_path, "customer_id,product_id,purchased_at,größe\n".encode("cp1252") + b"a,p,2020-01-01,1\n")
    assert refusal(tmp_path) == (
        'purchases.csv: the header is not utf-8: set encoding in [history], such as "cp1252", or "cp1250" '
        "from Poland to Romania"
    )


def test_utf_16_is_recognised_and_read_when_said(tmp_path: Path) -> None:
    write(tmp_path, (HEADER + "é,p,2020-01-01\n").encode("utf-16"))
    assert 'set encoding = "utf-16"' in refusal(tmp_path)
    unmarked = write(tmp_path / "unmarked", HEADER.encode("utf-16-le"))
    assert 'set encoding = "utf-16"' in refusal(unmarked)
    assert read(tmp_path, encoding="utf-16").customer_ids == ["é"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + HEADER.encode() + b"a,p,2020-01-01\n",
        HEADER.replace("\n", "\r\n").encode() + b"a,p,2020-01-01\r\n\r\n",
        b"\n" + HEADER.encode() + b"\n\na,p,2020-01-01",
        b"\xef\xbb\xbf" + HEADER.replace("\n", "\r\n").encode() + b"a,p,2020-01-01\r\nb,p\r\n",
        b' "customer_id" , product_id,purchased_at \n'.replace(b' "', b'"').replace(b'" ,', b'",')
        + b"a,p,2020-01-01\n",
    ],
)
def test_byte_order_marks_line_ends_blank_lines_and_blanks_in_the_header_do_no_harm(
    tmp_path: Path, content: bytes
) -> None:
    assert read(write(tmp_path, content)).customer_ids == ["a"]


def test_a_cell_may_hold_line_ends_and_separators_in_quotes(tmp_path: Path) -> None:
    text = 'customer_id,product_id,purchased_at,title\na,p,2020-01-01,"Tea,\nof ""China"""\nb,p,2019-01-01,\n'
    for damage in ("", "x\n"):
        history = read(write(tmp_path, text + damage))
        assert history.products["title"].to_list() == ['Tea, of "China"']
        assert history.rejected == bool(damage)


def test_quotes_in_the_middle_of_a_cell_are_text(tmp_path: Path) -> None:
    text = 'customer_id,product_id,purchased_at,title\na,p,2020-01-01,Screen 24" wide\n'
    assert read(write(tmp_path, text)).products["title"].to_list() == ['Screen 24" wide']


def test_stray_quotes_in_two_lines_do_not_swallow_what_is_between(tmp_path: Path) -> None:
    text = HEADER + 'a,"p,2020-01-01\n' + "b,p,2020-01-01\n" * 3 + 'c,"p,2020-01-01\nd,p,2020-01-01\n'
    history = read(write(tmp_path, text))
    assert set(history.customer_ids) == {"b", "d"}
    assert history.purchases.height == 4
    assert rejected(tmp_path)["line"].to_list() == ["2", "6"]


def test_one_table_may_be_many_files_of_several_kinds(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n", "purchases/2020/jan.csv")
    write(tmp_path, gzip.compress((HEADER + "b,p,2020-02-01\n").encode()), "purchases/2020/feb.csv.gz")
    pl.DataFrame({"customer_id": [7.0], "product_id": [1], "purchased_at": ["2020-03-01"]}).write_parquet(
        tmp_path / "purchases" / "mar.parquet"
    )
    write(tmp_path, "", "purchases/_SUCCESS")
    assert set(read(tmp_path).customer_ids) == {"a", "b", "7"}


def test_files_are_found_by_their_usual_names_or_by_path(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n", "purchases-2020.csv")
    write(tmp_path, HEADER + "b,p,2020-01-01\n", "purchases-2021.csv")
    assert set(read(tmp_path).customer_ids) == {"a", "b"}
    assert read(tmp_path, purchases={"path": "*-2021.csv"}).customer_ids == ["b"]
    write(tmp_path, HEADER, "purchases.csv")
    assert "purchases is there twice, purchases.csv and purchases-2020.csv" in refusal(tmp_path)
    assert "no file nowhere.csv" in refusal(tmp_path, purchases={"path": "nowhere.csv"})
    assert "no file offers.csv" in refusal(
        tmp_path, offers={"path": "offers.csv"}, purchases={"path": "purchases-*"}
    )
    assert "neither CSV" in refusal(write(tmp_path, b"PK", "sheet.xlsx"), purchases={"path": "sheet.xlsx"})
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no purchases.csv" in refusal(empty)
    with pytest.raises(BadHistoryError, match="no such folder"):
        read(tmp_path / "gone", rejects=tmp_path / "rejects.csv")


def test_the_ending_of_a_packed_file_may_be_in_capitals(tmp_path: Path) -> None:
    write(tmp_path, gzip.compress((HEADER + LINES).encode(), mtime=0), "purchases.CSV.GZ")
    assert read(tmp_path).purchases.height == 400


def test_ids_are_cleaned_of_what_numbers_did_to_them_only_when_asked(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "17850.0,007,2020-01-01\n v1.0 ,10.50,2020-01-01\n")
    assert set(read(tmp_path).customer_ids) == {"17850.0", "v1.0"}
    cleaned = read(tmp_path, purchases={"id_cleanup": True})
    assert set(cleaned.customer_ids) == {"17850", "v1.0"}
    assert set(cleaned.products["product_id"]) == {"007", "10.50"}


def test_numbers_and_dates_of_parquet_need_no_cleanup(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "customer_id": [17850.0, None, float("nan"), 1.5],
            "product_id": [7, 7, 7, 7],
            "quantity": [1.0, 1, 1, float("nan")],
        }
    ).with_columns(purchased_at=pl.date(2020, 1, 1))
    frame.write_parquet(tmp_path / "purchases.parquet")
    history = read(tmp_path)
    assert (history.customer_ids, history.products["product_id"].to_list()) == (["17850"], ["7"])
    assert history.counts["purchases"].rejected == {"customer_id: empty": 2, "quantity: not a number": 1}


def test_bytes_and_categories_of_parquet_are_text(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"customer_id": [b"a", b"\xff"], "product_id": ["p", "p"], "purchased_at": ["2020-01-01"] * 2}
    )
    frame.cast({"product_id": pl.Categorical}).write_parquet(tmp_path / "purchases.parquet")
    assert set(read(tmp_path).customer_ids) == {"a", "\\xff"}


def test_a_decimal_comma_is_read_when_said(tmp_path: Path) -> None:
    text = "customer_id;product_id;purchased_at;unit_price\na;p;31.12.2019;1.234,50\n"
    options = {"separator": ";", "decimal_comma": True, "date_format": "%d.%m.%Y"}
    assert read(write(tmp_path, text), purchases=options).purchases["unit_price"].to_list() == [1234.5]


def test_reject_files_hold_the_raw_line_and_no_formulas(tmp_path: Path) -> None:
    write(tmp_path, HEADER + '=cmd(),"p,",never\n', "=evil.csv")
    write(tmp_path, HEADER + "a,p,2020-01-01\n", "fine.csv")
    read(tmp_path, purchases={"path": "*.csv"})
    assert (tmp_path / "out" / "rejects.csv").read_text() == (
        "table,file,line,reason,row\n"
        "purchases,'=evil.csv,2,purchased_at: not a time,"
        '"{""customer_id"":""=cmd()"",""product_id"":""p,"",""purchased_at"":""never""}"\n'
    )


@given(st.text(max_size=5), st.sampled_from(["", "=", "+", "-", "@", "\t", "\r"]))
def test_no_cell_begins_as_a_formula(text: str, start: str) -> None:
    assert safe_cell(start + text)[:1] not in {"=", "+", "-", "@", "\t", "\r"}
    assert safe_cell(start + text).endswith(start + text)


def test_a_web_shops_export_is_read_by_configuration_alone(tmp_path: Path) -> None:
    write(tmp_path, web_shop_export(2_000), "online.csv")
    history = read(tmp_path, max_reject_share=0.0, **WEB_SHOP_OPTIONS)
    counts = history.counts["purchases"]
    assert (counts.read, counts.rejected) == (2_000, {})
    nobodys = {"no customer", "no customer, though its order has one"}
    assert set(counts.left_out) == {"excluded product", "cancellation"} | nobodys
    assert set(history.products["product_id"]) == {"85123A", "71053", "22752"}
    assert "CAFÉ SIGN, 85123A £" in history.products["title"].to_list()
    assert all(customer.isdigit() for customer in history.customer_ids)
    named = history.named_purchases()
    assert named["quantity"].min() >= 1  # type: ignore[operator]  # no number column gives anything else
    assert history.purchases["order_row"].n_unique() < history.purchases.height


def batches(frames: list[pl.DataFrame]) -> list[tuple[object, ...]]:
    names = [name for name in frames[0].columns if name not in ("<line>", "<problem>", "<raw>")]
    return [row for frame in frames for row in frame.select(names).rows()]


FIELD = st.text(st.sampled_from('ab ,"\n\r;é'), max_size=4)


@given(
    rows=st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=6),
    damage=st.tuples(st.integers(0, 80), st.sampled_from(["", '"', ",", "\n", "x"])),
    chunk=st.sampled_from([1, 3, 1 << 20]),
)
def test_both_readers_find_the_same_records_and_agree_on_the_sound_ones(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    damage: tuple[int, str],
    chunk: int,
) -> None:
    table = pl.DataFrame(rows, schema=["x", "y", "z"], orient="row").cast(pl.String)
    text = table.write_csv()
    place, extra = damage
    text = text[:place] + extra + text[place:] if place > 6 else text
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(text.encode())
    careful = list(careful_batches(path, "t.csv", "utf-8", ","))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_files, "CHUNK_BYTES", chunk)
        try:
            quick = list(quick_batches(path, ","))
        except DamagedCsvError:
            return
    for sure, fast in zip(batches(careful), batches(quick), strict=True):
        assert sure in (fast, (None, None, None))


@given(
    rows=st.lists(st.lists(st.sampled_from(["", "a", '"b,c"', '"d\ne"']), min_size=1, max_size=4), max_size=5)
)
def test_a_short_line_never_passes_for_one_with_empty_cells(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_text("x,y,z\n" + "".join(",".join(row) + "\n" for row in rows))
    is_ragged = any(len(row) != 3 for row in rows if row != [""])
    for chunk in (2, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_files, "CHUNK_BYTES", chunk)
            try:
                list(quick_batches(path, ","))
                assert not is_ragged
            except DamagedCsvError:
                assert is_ragged


def test_a_plain_file_is_read_where_it_is_and_a_copy_does_not_stay(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n")
    with plain_utf8(path, "t.csv", "utf-8") as same:
        assert same == path
    with plain_utf8(path, "t.csv", "cp1252") as copy:
        assert copy.read_text() == "a\n"
    assert not copy.exists()


def test_lines_without_any_content_are_passed_over_but_counted_as_lines(tmp_path: Path) -> None:
    for damage in ("", "x\n"):
        history = read(write(tmp_path, HEADER + "a,p,2020-01-01\n\n,,\nb,p,never\n" + damage))
        assert history.read_lines == 2 + bool(damage)
        assert rejected(tmp_path)["line"].to_list()[0] == "5"


@pytest.mark.parametrize("name", ["purchases.csv", "purchases.csv.gz"])
def test_lines_that_end_in_cr_alone_are_refused(tmp_path: Path, name: str) -> None:
    content = f"{HEADER}{LINES}".replace("\n", "\r").encode()
    write(tmp_path, gzip.compress(content) if name.endswith(".gz") else content, name)
    assert refusal(tmp_path).startswith(f"{name}: its lines end in CR alone: ")
    note = "customer_id,product_id,purchased_at,note\ra,p,2020-01-01,x\r".encode("utf-16")
    other = tmp_path / "other"
    write(other, note)
    assert "CR alone" in refusal(other, encoding="utf-16")


def test_a_name_in_the_header_may_hold_a_line_end_in_quotes(tmp_path: Path) -> None:
    write(tmp_path, 'customer_id,"sold\rto",product_id,purchased_at\r\na,x,p,2020-01-01\r\n')
    assert read(tmp_path).customer_ids == ["a"]


def test_empty_cells_of_a_shops_own_columns_are_unknown_and_blanks_around_words_are_cut_off(
    tmp_path: Path,
) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n")
    write(tmp_path, "customer_id,age,card\na,, gold \nb,  ,blue\n", "customers.csv")
    history = read(tmp_path)
    assert history.customers is not None
    told = history.customers.select("customer_id", "age", "card").rows()
    assert told == [("a", None, "gold"), ("b", None, "blue")]
