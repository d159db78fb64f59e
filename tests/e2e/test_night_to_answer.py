"""From a shop's purchases to true answers over HTTP, through nights, rollbacks and a damaged version."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.versions.store import Champion
from tests.data.nights import Ran, champion, run_process, version_ids
from tests.data.running_service import Running, running_service, until
from tests.data.webshop import Line, habits, title, write_shop

TAKEN_WITHIN_S = 5
LINES = habits(customers=150, products=60, days=90)
# The night's own recipe is for test_night_runs.py; this ranker has few trees and windows, and fast sources.
CONFIG = """[night]
variants = ["popular", "item_item", "repeat", "due", "ranker"]
[variants.ranker]
n_folds = 3
without = ["season", "sequel", "als", "ease", "neighbours", "affinity", "content"]
[variants.ranker.trees]
n_trees = 5
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`shop/` and a `store/` after its first night."""
    place = tmp_path_factory.mktemp("e2e")
    write_shop(place / "shop", LINES, sold_out=(0,))
    ran = night(place)
    assert ran.code == 0, ran.err
    return place


def night(place: Path) -> Ran:
    config = place / "night.toml"
    config.write_text(CONFIG)
    return run_process("nightly", "--data", place / "shop", "--store", place / "store", "--config", config)


@pytest.fixture(scope="module")
def service(place: Path) -> Iterator[Running]:
    with running_service(place / "store", place / "log") as running:
        until(lambda: running.get("/health/ready").ok, 10)
        yield running


def answer(service: Running, path: str) -> Any:
    response = service.get(path)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_stranger_gets_what_goes_with_what_they_looked_at_with_true_reasons(service: Running) -> None:
    found = answer(service, "/recommend/stranger?viewed=p3,p7&n=20")
    assert (found["source"], len(found["recommendations"])) == ("viewed", 20)
    of_product = {
        viewed: {
            other["product_id"]: other["reason"]["code"]
            for other in answer(service, f"/similar/{viewed}?n=59")["recommendations"]
        }
        for viewed in ("p3", "p7")
    }
    codes = set()
    for entry in found["recommendations"]:
        code, evidence = entry["reason"]["code"], entry["reason"]["evidence"]
        codes.add(code)
        if code in ("similar", "alike"):
            assert of_product[evidence["product_id"]][entry["product_id"]] == code
    assert "similar" in codes
    assert answer(service, "/recommend/stranger?n=20")["source"] == "popular"


def version_in_force(service: Running) -> str:
    return str(answer(service, "/recommend/c1")["version"])


def lines_of(customer: str) -> dict[str, list[Line]]:
    """A customer's lines by product, by time."""
    found = defaultdict(list)
    for line in LINES:
        if f"c{line.customer}" == customer:
            found[f"p{line.product}"].append(line)
    return found


def test_known_customers_get_their_own_products_with_true_reasons(place: Path, service: Running) -> None:
    codes, chances = set(), []
    similar = {}
    for customer in ("c0", "c1", "c77", "c149"):
        found = answer(service, f"/recommend/{customer}?n=40")
        assert (found["customer_id"], found["source"], found["variant"]) == (customer, "personal", "ranker")
        shown = found["recommendations"]
        assert [entry["rank"] for entry in shown] == list(range(1, 41))
        assert len({entry["product_id"] for entry in shown}) == 40
        mine = lines_of(customer)
        for entry in shown:
            assert entry["product_id"] != "p0"  # sold out
            assert entry["title"] == title(int(entry["product_id"][1:]))
            known = entry["probability"]
            assert known is None or 0 < known < 1
            chances.append(known)
            reason = entry["reason"]
            codes.add(reason["code"])
            if reason["code"] == "due_again":
                check_due_again(reason, mine[entry["product_id"]])
            elif reason["code"] == "because_you_bought":
                assert entry["product_id"] not in mine
                because = reason["evidence"]["product_id"]
                last = max(line.at for line in mine[because])
                assert reason["evidence"]["last_purchased_on"] == last.date().isoformat()
                assert reason["text"] == f"Because you bought {title(int(because[1:]))}"
                if because not in similar:
                    near = answer(service, f"/similar/{because}?n=100")["recommendations"]
                    similar[because] = {other["product_id"] for other in near}
                assert entry["product_id"] in similar[because]
            else:
                assert entry["product_id"] not in mine
    assert {"due_again", "because_you_bought"} <= codes
    assert sum(chance is not None for chance in chances) > 100  # of 160; the rest fills lists up


def check_due_again(reason: dict[str, Any], lines: list[Line]) -> None:
    """Times, interval and date, counted from the purchases."""
    evidence = reason["evidence"]
    orders = {line.order for line in lines}
    last = max(line.at for line in lines)
    assert evidence["times"] == len(orders)
    assert evidence["last_purchased_on"] == last.date().isoformat()
    if len(orders) == 1:
        assert evidence["interval_days"] is None
        after = evidence["typical_interval_days"]
        assert reason["text"].startswith(f"Bought on {last.day} {last:%B %Y}; such products are bought again")
        assert date.fromisoformat(reason["due_on"]) == last.date() + timedelta(days=after)
        return
    assert date.fromisoformat(reason["due_on"]) >= last.date()
    interval = (last - min(line.at for line in lines)) / timedelta(days=1) / (len(orders) - 1)
    assert evidence["interval_days"] == pytest.approx(interval, abs=0.11)
    assert reason["text"].startswith("Bought about every ")
    assert reason["text"].endswith(f"last on {last.day} {last:%B %Y}")


def test_an_unknown_customer_gets_what_is_popular(service: Running) -> None:
    found = answer(service, "/recommend/nobody?n=10")
    assert found["source"] == "popular"
    popular = answer(service, "/popular?n=10")
    listed = [entry["product_id"] for entry in found["recommendations"]]
    assert listed == [entry["product_id"] for entry in popular["recommendations"]]
    assert len(set(listed)) == 10
    assert "p0" not in listed
    end = max(line.at for line in LINES) + timedelta(seconds=1)
    first = found["recommendations"][0]
    buyers = {
        x.customer
        for x in LINES
        if f"p{x.product}" == first["product_id"] and x.at >= end - timedelta(days=28)
    }
    window = f"in the 28 days to {end.day} {end:%B %Y}"
    text = f"Popular in {first['category']}: bought by {len(buyers)} customers {window}"
    assert first["reason"]["text"] == text


def test_similar_products_are_others(service: Running) -> None:
    found = answer(service, "/similar/p5?n=5")["recommendations"]
    assert 0 < len(found) <= 5
    assert "p5" not in [entry["product_id"] for entry in found]
    assert service.get("/similar/p9999").status_code == 404


def test_nights_rollbacks_and_damage_reach_the_answers_within_5_s(place: Path, service: Running) -> None:
    store = place / "store"
    (first,) = version_ids(store)
    assert version_in_force(service) == first
    newcomer = "/recommend/c1000?n=20"
    assert answer(service, newcomer)["source"] == "popular"

    today = max(line.at for line in LINES)
    more = [Line(10**6, 1000, product, 1, today) for product in range(20, 30)]
    write_shop(place / "shop", [*LINES, *more])
    ran = night(place)
    assert ran.code == 0, ran.err
    second = champion(store).version_id
    assert second != first
    until(lambda: version_in_force(service) == second, TAKEN_WITHIN_S)
    found = answer(service, newcomer)
    assert found["source"] == "personal"
    again = {e["product_id"] for e in found["recommendations"] if e["reason"]["code"] == "due_again"}
    assert again == {f"p{product}" for product in range(20, 30)}

    assert run_process("rollback", "--store", store).code == 0
    until(lambda: version_in_force(service) == first, TAKEN_WITHIN_S)
    assert answer(service, newcomer)["source"] == "popular"

    file = store / "versions" / second / "popular" / "order.npy"
    file.chmod(0o644)
    file.write_bytes(b"")
    damaged = Champion.model_validate_json((store / "champion.json").read_bytes())
    pointer = damaged.current.model_copy(update={"version_id": second})
    damaged = damaged.model_copy(update={"current": pointer, "sequence": damaged.sequence + 1})
    (store / "champion.json").write_text(damaged.model_dump_json())
    until(lambda: "version refused" in service.log.read_text(), TAKEN_WITHIN_S)
    assert version_in_force(service) == first
    assert answer(service, "/health/ready")["version"] == first
