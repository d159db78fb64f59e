"""One made-up experiment: what was decided each day from its written logs, and what the careless would."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import norm

from experiments.judge import Case, decide_arm, open_case
from experiments.logs.cohort import start_ms
from experiments.specification import Metric
from experiments.statistics.bounds import bounds
from experiments.statistics.looks import NEWS, LedgerInMemory, rounded
from experiments.statistics.measures import Table, measure, statistic
from experiments.verdict import Word
from models.arrays import DAY_MS
from tests.data.shop_logs import START_MS, Truth, at, logs, specification_of

CARELESS = float(norm.isf(0.025))
DAYS = range(8, 36)  # the first windows are over on day 8, the last on day 35
CTR = Metric(name="ctr", role="secondary", kind="ratio")
SURVEYS = (Metric(name="nps", role="secondary", kind="nps"), Metric(name="ces", role="secondary", kind="ces"))


@dataclass(frozen=True)
class SameRun:
    """An experiment where nothing differs, looked at daily.

    Attributes:
        crossed: a bound was crossed on some day.
        careless: so was 1.96.
        independent: so was 1.96 by clicks over impressions, each impression by itself.
        covers: whether each metric's last interval holds the truth, 0.
    """

    crossed: bool
    careless: bool
    independent: bool
    covers: dict[str, bool]


@dataclass(frozen=True)
class RuleRun:
    """An experiment under the whole rule, looked at daily until it decides.

    Attributes:
        word: the decision, CONTINUE or the last day's.
        day: of the decision.
    """

    word: str
    day: int


def written(truth: Truth, seed: int, folder: Path, primary: str = "revenue_per_customer") -> Case:
    """A case from logs in files, as they were at the end."""
    specification = specification_of(f"gate-{seed}", truth.customers, primary)
    exposures, outcomes = logs(specification, truth, seed)
    exposures.write_parquet(folder / "exposures.parquet")
    outcomes.write_parquet(folder / "outcomes.parquet")
    read = (pl.read_parquet(folder / f"{name}.parquet") for name in ("exposures", "outcomes"))
    return open_case(specification, *read, at(DAYS[-1]))


def run_same(truth: Truth, seed: int, folder: Path) -> SameRun:
    """Nothing differs."""
    return same_of(written(truth, seed, folder), DAYS, (CTR, *SURVEYS))


def same_of(case: Case, days: range, also: tuple[Metric, ...]) -> SameRun:
    """What was seen of an experiment where nothing differs.

    Args:
        days: since its start, on which somebody looks.
        also: metrics beside the primary whose last interval must hold 0.
    """
    begin_ms = start_ms(case.specification)
    specification, quantile = case.specification, case.specification.analysis.winsor_quantile
    seen: list[float] = []
    information: list[float] = []
    independent = False
    for day in days:
        closed = case.table.closed(begin_ms + day * DAY_MS)
        effect = measure(specification.primary, closed, 1, quantile)
        independent = independent or abs(_of_impressions(closed)) > CARELESS
        at = rounded(len(closed.arm) / specification.analysis.planned_n)
        if effect is not None and at >= (information[-1] if information else 0) + NEWS:
            seen.append(abs(statistic(specification.primary, effect)))
            information.append(at)
    # A bound rests on the looks before it alone: those of the whole path are those of each day's report.
    crossed = np.array(seen) >= np.array(bounds(tuple(information), case.alpha))
    last = case.table.closed(begin_ms + days[-1] * DAY_MS)
    covers = {}
    for metric in (specification.primary, *also):
        effect = measure(metric, last, 1, quantile)
        covers[metric.name] = effect is not None and effect.low <= 0 <= effect.high
    return SameRun(bool(crossed.any()), max(seen) >= CARELESS, independent, covers)


def run_rule(truth: Truth, seed: int, folder: Path) -> RuleRun:
    """Whatever is true: a report on conversion each day, until it says ship or roll back."""
    whole = written(truth, seed, folder, "conversion")
    ledger = LedgerInMemory()
    head = whole.specification.experiment
    word, day = Word.CONTINUE, 0
    for day in DAYS:
        case = replace(whole, now_ms=START_MS + day * DAY_MS)
        verdict, look, is_new = decide_arm(case, 1, ledger.looks(head.id, head.version))
        if look is not None and is_new:
            ledger.add([look])
        word = verdict.word
        if word in (Word.SHIP, Word.ROLLBACK, Word.INVALID):
            break
    return RuleRun(word.value, day)


def _of_impressions(table: Table) -> float:
    """The statistic of two shares, as if impressions were independent of each other."""
    clicks, shown = (
        [table.columns[name][table.arm == arm].sum() for arm in (0, 1)] for name in ("clicks", "impressions")
    )
    share = sum(clicks) / max(1.0, sum(shown))
    variance = share * (1 - share) * sum(1 / max(1.0, one) for one in shown)
    return float(
        (clicks[1] / max(1.0, shown[1]) - clicks[0] / max(1.0, shown[0])) / np.sqrt(max(variance, 1e-12))
    )
