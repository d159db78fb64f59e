"""What was put forward, as of the moment from which it was known."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.arrays import DAY_S
from tests.data.exports import HEADER, read, rejected, write


def test_promotions_that_have_begun_are_known_of_the_products(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\na,q,2020-01-02\n")
    lines = (
        "q,2020-01-20,2020-02-02,0.5",
        "p,2020-01-27,2020-02-10T00:00,",
        "p,2020-02-02,2020-02-09,1",
        "z,2020-01-01,2020-03-01,1",
    )
    write(tmp_path, "product_id,starts_at,ends_at,reach\n" + "\n".join(lines), "promotions.csv")
    history = read(tmp_path, as_of=datetime(2020, 2, 1, tzinfo=UTC))
    promotions, day = history.catalogue.promotions, datetime(2020, 1, 20, tzinfo=UTC).timestamp()
    days = [(promotions.starts_s - day) / DAY_S, (promotions.ends_s - day) / DAY_S]
    assert [each.tolist() for each in (promotions.product_row, *days)] == [[1, 0], [0, 7], [14, 21]]
    assert promotions.reach.tolist() == [0.5, 1]


def test_a_promotion_that_begins_between_the_last_purchase_and_the_night_is_known(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01T09:00\na,q,2020-01-31T21:17\n")
    lines = "p,2020-02-01,2020-02-07\nq,2020-02-02,2020-02-07\n"
    write(tmp_path, "product_id,starts_at,ends_at\n" + lines, "promotions.csv")
    known = read(tmp_path).interactions().catalogue.promotions
    products = read(tmp_path).products["product_id"]
    assert [products[int(row)] for row in known.product_row] == ["p"]


@pytest.mark.parametrize(
    ("days", "known"), [(0.0, ["q"]), (1.0, ["q"]), (2.0, ["q", "p"]), (7.0, ["q", "p", "r"])]
)
def test_a_plan_is_known_as_long_before_it_begins_as_the_shop_says_now_and_in_the_past(
    tmp_path: Path, days: float, known: list[str]
) -> None:
    lines = "q,2020-02-01,2020-02-07\np,2020-02-02,2020-02-07\nr,2020-02-07,2020-02-14\n"
    write(tmp_path, HEADER + "a,p,2020-01-01\na,q,2020-01-01\na,r,2020-01-01\na,p,2020-03-01\n")
    write(tmp_path, "product_id,starts_at,ends_at\n" + lines, "promotions.csv")
    history = read(tmp_path, promotions={"known_days": days})
    in_february = history.interactions().before(int(datetime(2020, 2, 1, tzinfo=UTC).timestamp()))
    found = in_february.catalogue.promotions.product_row
    assert [history.products["product_id"][int(row)] for row in found] == known


def test_a_line_of_promotions_without_an_end_is_rejected(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n")
    lines = "p,2020-01-01,2020-01-08\n" * 10 + "p,2020-01-01,\n"
    write(tmp_path, "product_id,starts_at,ends_at\n" + lines, "promotions.csv")
    assert len(read(tmp_path).catalogue.promotions) == 10
    assert rejected(tmp_path).select("table", "line", "reason").rows() == [
        ("promotions", "12", "ends_at: empty")
    ]
