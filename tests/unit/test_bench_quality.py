"""The quality benchmark's keeping of results, its page and its plots, on a shop of eight customers."""

import json
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from time import process_time, sleep, thread_time
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from models.arrays import FloatArray, IntArray
from models.base import Told
from models.numerics.cores import streamed
from models.registry import VARIANTS
from tests.benchmarks import quality_runs
from tests.benchmarks.quality_page import page, verdict
from tests.benchmarks.quality_peers import Asked, PersonalCounts
from tests.benchmarks.quality_plot import plot
from tests.benchmarks.quality_questions import Column, Question, Split
from tests.benchmarks.quality_runs import Entrant, Timed, entrants, measure, run
from tests.benchmarks.quality_summary import summarise
from tests.data.shops import START_S, shop_of
from training.evaluation.folds import Fold

DAY_S = 86_400
COLUMNS = (Column("P@1", "all", "precision@1"), Column("NDCG@10", "all", "ndcg@10"))
DAY = date(2026, 11, 22)


def tiny() -> Split:
    """Customer n buys product n % 4 on three days; the last of them is asked about."""
    orders = [(customer, day, [customer % 4]) for customer in range(8) for day in (10.0, 20.0, 30.0)]
    interactions = shop_of(orders, n_customers=8, n_products=4).interactions()
    return Split(
        name="ta-feng-time",
        tests=[Question("test", interactions, Fold(START_S + 25 * DAY_S, 7))],
        earlier=[Question("earlier", interactions, Fold(START_S + 15 * DAY_S, 7))],
        columns=COLUMNS,
        main=COLUMNS[1],
        reference="personal_counts",
        sizes={"customers": 8, "products": 4, "purchases": 24},
    )


def chosen(*names: str) -> list[Entrant]:
    return [entrant for entrant in entrants() if entrant.name in names]


def measured(folder: Path, *names: str) -> dict[str, Any]:
    run(tiny(), folder, chosen(*names), again=False, say=lambda _: None)
    return summarise(tiny(), folder, chosen(*names), day=DAY, is_whole=False)


def row(title: str, value: float, *, ours: bool) -> dict[str, Any]:
    figure = {"mean": value, "low": value - 0.01, "high": value + 0.01}
    cost = {"fit_s": 1.25, "score_s": 0.25, "peak_mb": 12.3}
    return {"title": title, "ours": ours, "figures": {"all/ndcg@10": figure}, **cost}


def content(*rows: dict[str, Any], published: Any = None) -> dict[str, Any]:
    return {
        "columns": [{"title": "NDCG@10", "key": "all/ndcg@10"}],
        "main": "all/ndcg@10",
        "reference": "personal_counts",
        "sizes": {"customers": 8, "products": 4, "purchases": 24},
        "tests": [{"name": "test", "customers": 8, "repeat_share": 0.5, "products_each": 1.0}],
        "rows": {str(place): one for place, one in enumerate(rows)},
        "published": published,
        "measured_on": "2026-11-22",
        "machine": "2 cores",
    }


def test_every_registered_variant_takes_part_by_itself() -> None:
    assert [entrant.name for entrant in entrants() if entrant.is_ours] == list(VARIANTS)


def test_figures_and_gains_are_those_of_the_lists(tmp_path: Path) -> None:
    rows = measured(tmp_path, "popular", "repeat", "personal_counts")["rows"]
    assert rows["repeat"]["figures"]["all/ndcg@10"]["mean"] == 1  # what was bought again is first
    assert rows["popular"]["figures"]["all/precision@1"]["mean"] == pytest.approx(2 / 8)
    gain = rows["popular"]["gain"]["all/precision@1"]
    assert gain["mean"] == pytest.approx(-6 / 8)
    assert gain["relative"] == pytest.approx(-6 / 8)
    assert "gain" not in rows["personal_counts"]
    assert rows["personal_counts"]["settings"][0]["decay"] > 0
    assert rows["repeat"]["peak_mb"] is None or rows["repeat"]["peak_mb"] >= 0


def test_cost_is_processor_time_and_waiting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    scored = PersonalCounts.score

    def waits_and_works(self: PersonalCounts, rows: IntArray) -> FloatArray:
        sleep(0.5)
        end_s = process_time() + 0.05
        while process_time() < end_s:
            pass
        return scored(self, rows)

    monkeypatch.setattr(PersonalCounts, "score", waits_and_works)
    (entrant,), (question,) = chosen("personal_counts"), tiny().tests
    cost = measure(tiny(), question, entrant, {"decay": 0.9, "popular_weight": 1.0}).cost
    assert 0.05 <= cost.score_s < 0.45


def test_cost_holds_what_threads_work_while_lists_are_made_and_not_the_lists() -> None:
    class Threaded(Asked):
        def opinions(self, rows: IntArray) -> Iterator[Told]:
            return streamed([partial(self.told, rows)] * 3)

        def told(self, rows: IntArray) -> Told:
            works(0.1)
            return Told(rows, rows, np.empty((0, 0), np.float32), None)

    def works(seconds: float) -> None:
        end_s = thread_time() + seconds
        while thread_time() < end_s:
            pass

    timed = Timed(Threaded(PersonalCounts(0.9, 1.0)))
    for _ in timed.opinions(np.empty(0, np.int32)):
        sleep(0.3)
        works(0.2)
    assert 0.29 < timed.score_s < 0.45


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    told: list[str] = []
    run(tiny(), tmp_path, chosen("popular"), again=False, say=told.append)
    run(tiny(), tmp_path, chosen("popular"), again=False, say=told.append)
    assert len(told) == 1
    run(tiny(), tmp_path, chosen("popular"), again=True, say=told.append)
    assert len(told) == 2


def test_another_recipe_is_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    run(tiny(), tmp_path, chosen("popular"), again=False, say=told.append)
    monkeypatch.setattr(VARIANTS["popular"], "revision", 99)
    run(tiny(), tmp_path, chosen("popular"), again=False, say=told.append)
    assert len(told) == 2


def test_a_run_that_was_cut_off_while_writing_measures_that_part_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(quality_runs.json, "dumps", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(tiny(), tmp_path, chosen("popular"), again=False, say=lambda _: None)
    told: list[str] = []
    run(tiny(), tmp_path, chosen("popular"), again=False, say=told.append)
    assert len(told) == 1


def test_an_entrant_without_all_cuts_is_left_out_of_the_table(tmp_path: Path) -> None:
    measured(tmp_path, "popular")
    summary = summarise(tiny(), tmp_path, chosen("popular", "repeat"), day=DAY, is_whole=False)
    assert list(summary["rows"]) == ["popular"]


def test_the_page_can_be_written_from_what_json_keeps(tmp_path: Path) -> None:
    split = measured(tmp_path, "popular", "personal_counts")
    again = json.loads(json.dumps(split))
    text = page({"splits": {"ta-feng-time": again}})
    assert text == page({"splits": {"ta-feng-time": split}})
    assert "| own counts by baskets ago + popularity | **1.0000** | **1.0000** |" in text
    assert "| `popular` | .2500 |" in text


def test_a_peer_that_is_best_is_named_with_the_best_of_ours_beside_it() -> None:
    split = content(row("`repeat`", 0.3, ours=True), row("implicit ALS", 0.4, ours=False))
    told = "NDCG@10: implicit ALS, .4000, which is not ours; the best of ours is `repeat`, .3000"
    assert told in verdict(split)


def test_a_published_row_can_be_best_too() -> None:
    published = {"customers": 8, "rows": {"M2-gp2t": [0.5]}, "popularity_here": [0.1]}
    split = content(row("`repeat`", 0.3, ours=True), published=published)
    assert "NDCG@10: the published M2-gp2t, .5000, which is not ours" in verdict(split)
    text = page({"splits": {"ta-feng-time": split}})
    assert "| *published: M2-gp2t* | **.5000** |" in text
    assert "| `repeat` | .3000 |  | 1.5 | 12 |" in text
    assert "over 8 customers, is .1000" in text.replace("\n", " ")


def test_ours_that_are_best_are_not_excused() -> None:
    split = content(row("`repeat`", 0.4, ours=True), row("implicit ALS", 0.3, ours=False))
    assert "- NDCG@10: `repeat`, .4000" in verdict(split)
    assert "not ours" not in verdict(split)


def test_a_plot_is_a_small_picture_with_a_mark_for_each_row() -> None:
    published = {"customers": 8, "rows": {"M2 & others": [0.5]}, "popularity_here": [0.1]}
    split = content(row("`repeat`", 0.3, ours=True), row("ALS", 0.2, ours=False), published=published)
    drawn = plot(split)
    assert drawn == plot(json.loads(json.dumps(split)))
    root = ElementTree.fromstring(drawn)  # noqa: S314  # our own text
    marks = [element.tag.rpartition("}")[2] for element in root]
    assert (marks.count("circle"), marks.count("rect")) == (1, 2)
    assert len(drawn) < 4_000
