"""Complete Journey, a grocer's year: what is bought in the days after a date, tuned before the first one.

The history is read as a night would read it: the package's tables in our own data contract, without the lines
of quantity 0 and of products that are in no table.
"""

from datetime import UTC, date, datetime
from pathlib import Path

from models.history.interactions import Interactions
from storage.history.read import read_history
from storage.local_days import midnight_s
from tests.benchmarks.quality_questions import Column, Question, Split
from training.commands.complete_journey import source_folder, write_demo
from training.config import load_config
from training.evaluation.folds import Fold

TIMEZONE = "UTC"
TESTS = (date(2017, 9, 6), date(2017, 10, 4), date(2017, 11, 1), date(2017, 11, 15), date(2017, 12, 1))
EARLIER = (date(2017, 8, 2), date(2017, 8, 16), date(2017, 8, 30))
COLUMNS = (
    Column("P@1", "all", "precision@1"),
    Column("hit@10", "all", "hit@10"),
    Column("recall@10", "all", "recall@10"),
    Column("NDCG@10", "all", "ndcg@10"),
    Column("new NDCG@10", "new", "ndcg@10"),
    Column("next basket NDCG@10", "next_order", "ndcg@10"),
)


def read(folder: Path, now: datetime) -> Interactions:
    """The whole year, from the installed package by way of `folder`."""
    if not (folder / "nextbest.toml").exists():
        write_demo(source_folder(), folder)
    options = load_config(folder / "nextbest.toml").history
    return read_history(
        str(folder), options, as_of=None, rejects=folder / "rejects.csv", now=now.astimezone(UTC)
    ).interactions()


def seven_days(year: Interactions) -> Split:
    """The next 7 days from five dates."""
    return _split("complete-journey", year, 7, TESTS, EARLIER)


def four_weeks(year: Interactions) -> Split:
    """The next 28 days from the last date."""
    return _split("complete-journey-28", year, 28, (date(2017, 12, 1),), (date(2017, 11, 3),))


def _split(
    name: str, year: Interactions, horizon_days: int, tests: tuple[date, ...], earlier: tuple[date, ...]
) -> Split:
    def question(day: date) -> Question:
        return Question(day.isoformat(), year, Fold(midnight_s(day, TIMEZONE), horizon_days))

    return Split(
        name=name,
        tests=[question(day) for day in tests],
        earlier=[question(day) for day in earlier],
        columns=COLUMNS,
        main=COLUMNS[3],
        reference="half_life",
        sizes={"customers": year.n_customers, "products": year.n_products, "purchases": len(year)},
    )
