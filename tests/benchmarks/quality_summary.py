"""From figures of each customer to means, paired intervals and costs: the content of quality.json."""

import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.quality_questions import Column, Split
from tests.benchmarks.quality_runs import Entrant, Part, is_kept, kept
from tests.benchmarks.quality_ta_feng import PUBLISHED, check_published
from training.evaluation.bootstrap import Interval, Resampled, resample
from training.evaluation.folds import Target

type Row = dict[str, Any]


def summarise(
    split: Split, folder: Path, entrants: Sequence[Entrant], *, day: date, is_whole: bool
) -> dict[str, Any]:
    """One split's table, of those entrants that were measured on all of its cuts.

    Args:
        folder: where the parts are.
        day: on which it was measured.
        is_whole: not a sample; only then can the published rows be met.
    """
    measured = [e for e in entrants if all(is_kept(folder, split, q, e) for q in split.tests)]
    parts = {e.name: [kept(folder, split, q, e) for q in split.tests] for e in measured}
    rows: dict[str, Row] = {
        e.name: {"title": e.title, "ours": e.is_ours, **_cost(parts[e.name]), **_settings(parts[e.name])}
        for e in measured
    }
    for target in dict.fromkeys(column.target for column in split.columns):
        columns = [column for column in split.columns if column.target == target]
        _add_figures(rows, parts, columns, target, split.reference)
    for name, row in rows.items():
        row["by_test"] = [
            {column.key: float(part.figures[column.key].mean()) for column in split.columns}
            for part in parts[name]
        ]
    return {
        "columns": [{"title": column.title, "key": column.key} for column in split.columns],
        "main": split.main.key,
        "reference": split.reference,
        "sizes": split.sizes,
        "tests": [_test(question) for question in split.tests],
        "rows": rows,
        "published": _published(split) if is_whole and split.name in PUBLISHED else None,
        "measured_on": day.isoformat(),
        "machine": machine(),
    }


def machine() -> str:
    """What it ran on, in words."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def _add_figures(
    rows: dict[str, Row],
    parts: dict[str, list[Part]],
    columns: Sequence[Column],
    target: Target,
    reference: str,
) -> None:
    """Means over customers and cuts with their intervals, and the gain over the reference, paired."""
    first = next(iter(parts.values()), None)
    if first is None:
        return
    customers = [part.customers[target] for part in first]
    folds = np.repeat(np.arange(len(first), dtype=np.int32), [len(rows) for rows in customers])
    names = [(name, column.key) for name in parts for column in columns]
    values = np.column_stack(
        [np.concatenate([part.figures[key] for part in parts[name]]) for name, key in names]
    )
    resampled = resample(values, np.concatenate(customers), folds)
    for place, (name, key) in enumerate(names):
        rows[name].setdefault("figures", {})[key] = _plain(resampled.interval(place))
        if reference in parts and name != reference:
            other = names.index((reference, key))
            rows[name].setdefault("gain", {})[key] = _gain(resampled, place, other)


def _gain(resampled: Resampled, place: int, other: int) -> dict[str, float | None]:
    base = float(resampled.mean[other])
    found = _plain(resampled.difference(place, other))
    return {**found, "relative": found["mean"] / base if base else None}


def _plain(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def _cost(parts: Sequence[Part]) -> Row:
    peaks = [part.cost.peak_mb for part in parts if part.cost.peak_mb is not None]
    return {
        "fit_s": float(np.mean([part.cost.fit_s for part in parts])),
        "score_s": float(np.mean([part.cost.score_s for part in parts])),
        "peak_mb": max(peaks) if peaks else None,
    }


def _settings(parts: Sequence[Part]) -> Row:
    return {"settings": [part.settings for part in parts]}


def _test(question: Any) -> dict[str, Any]:
    truth = question.truth.targets
    return {
        "name": question.name,
        "horizon_days": question.fold.horizon_days,
        "customers": len(truth["all"].customer_row),
        "new_customers": len(truth["new"].customer_row),
        "products_each": truth["all"].products.nnz / max(1, len(truth["all"].customer_row)),
        "repeat_share": 1 - truth["new"].products.nnz / max(1, truth["all"].products.nnz),
        "purchases_before": len(question.history),
    }


def _published(split: Split) -> dict[str, Any]:
    printed = PUBLISHED[split.name]
    return {
        "customers": printed.customers,
        "rows": {name: list(figures) for name, figures in printed.rows.items()},
        "popularity_here": list(check_published(split)),
    }
