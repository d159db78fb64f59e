"""The parser takes what the limits allow and names the parameter that is at fault."""

from contextlib import suppress
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RefusedError
from service.web.parameters import Query, check_id, parse_query


def refused(query: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        parse_query(query.encode())
    return caught.value


def test_without_parameters_there_are_ten_products_of_any_category() -> None:
    assert parse_query(b"") == Query(10, None, ())


def test_all_parameters_together() -> None:
    asked = urlencode({"n": 3, "category": "Käse & Co", "exclude": "a,b"})
    assert parse_query(asked.encode()) == Query(3, "Käse & Co", ("a", "b"))


@pytest.mark.parametrize("n", ["0", "101", "-1", "+5", "1.0", "ten", "", "%201", "1e1", "%D9%A3", "9" * 5000])
def test_n_is_a_whole_number_from_1_to_100(n: str) -> None:
    assert refused(f"n={n}").field == "n"


@pytest.mark.parametrize(
    ("query", "kind", "field"),
    [
        ("n=1&n=2", "bad_parameter", "n"),
        ("limit=3", "unknown_parameter", "limit"),
        ("category=", "bad_parameter", "category"),
        ("category=" + "x" * 257, "bad_parameter", "category"),
        ("exclude=" + ",".join(["p"] * 101), "bad_parameter", "exclude"),
        ("exclude=" + "%C3%BC" * 129, "bad_parameter", "exclude"),
        ("exclude=" + ",".join(["p" * 200] * 82), "bad_parameter", "exclude"),
        ("exclude=a,,b", "bad_parameter", "exclude"),
        ("category=%FF", "bad_parameter", None),
        ("category=\xff", "bad_parameter", None),
        ("&".join(f"a{number}=1" for number in range(30)), "bad_parameter", None),
    ],
)
def test_whatever_is_wrong_is_named(query: str, kind: str, field: str | None) -> None:
    error = refused(query)
    assert (error.kind, error.field) == (kind, field)


def test_an_unknown_parameter_is_told_the_known_ones() -> None:
    assert "n, placement, category, exclude" in refused("limit=3").reason


@given(st.binary(max_size=100))
def test_any_query_string_is_parsed_or_refused(query: bytes) -> None:
    with suppress(RefusedError):
        assert 1 <= parse_query(query).n <= 100


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300))
def test_an_id_is_taken_up_to_256_bytes(value: str) -> None:
    path = value.encode().decode("latin-1")
    if len(value.encode()) <= 256:
        check_id("customer_id", value, path)
    else:
        with pytest.raises(RefusedError, match="256 bytes"):
            check_id("customer_id", value, path)


def test_an_id_with_a_zero_byte_is_refused() -> None:
    with pytest.raises(RefusedError, match="zero byte"):
        check_id("customer_id", "a\0b", "a\0b")


def test_a_replacement_character_that_was_sent_is_not_taken_for_bad_utf_8() -> None:
    check_id("customer_id", "\ufffd", "\ufffd".encode().decode("latin-1"))
    with pytest.raises(RefusedError, match="not UTF-8"):
        check_id("customer_id", "\ufffd", "\xff")


def test_a_percent_sign_in_a_category_survives() -> None:
    assert parse_query(f"category={quote('100% & more')}".encode()).category == "100% & more"
