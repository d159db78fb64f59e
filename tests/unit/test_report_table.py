"""The table of an evaluation fits a narrow terminal, whatever was measured."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from tests.data.evaluations import two_folds
from training.evaluation.bootstrap import Interval
from training.evaluation.comparison import Evaluation
from training.reports.terminal import table


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return two_folds()


def test_the_table_fits_a_terminal_of_80_columns(evaluation: Evaluation) -> None:
    written = StringIO()
    Console(file=written, width=80).print(table(evaluation))
    found = evaluation.variants["popular"].metrics["all"]["ndcg@10"]
    assert f"{found.mean:.3f}".removeprefix("0") in written.getvalue()
    assert "…" not in written.getvalue()
    assert "against" in written.getvalue()


def test_the_table_fits_80_columns_where_everybody_finds_something(evaluation: Evaluation) -> None:
    sure, worse = Interval(1.0, 1.0, 1.0), Interval(-0.335, -0.335, -0.335)
    variants = {}
    for name, result in evaluation.variants.items():
        metrics = {target: dict.fromkeys(found, sure) for target, found in result.metrics.items()}
        differences = {
            other: {
                target: {m: replace(d, interval=worse) for m, d in by.items()} for target, by in of.items()
            }
            for other, of in result.differences.items()
        }
        variants[name] = replace(result, metrics=metrics, differences=differences)
    variants = {"item_item" if name == "popular" else name: found for name, found in variants.items()}
    written = StringIO()
    Console(file=written, width=80).print(table(replace(evaluation, variants=variants)))
    assert "1.00-1.00" in written.getvalue()
    assert "-.335 to -.335" in written.getvalue()
    assert "…" not in written.getvalue()
