"""The search for better options: proposed by Optuna, measured on past folds, confirmed on a later one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np
from optuna import Study, Trial
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from models.arrays import DoubleArray, IntArray
from models.errors import TooLittleHistoryError
from models.history.interactions import Interactions
from models.popular import Popular
from storage.local_days import local_day
from training.evaluation.bootstrap import Interval, paired_difference
from training.evaluation.folds import Fold, Target, last_folds, split
from training.evaluation.one_fold import EvaluationOptions, evaluate_fold
from training.fitting import fit_variants, popular_order
from training.progress import Progress
from training.tuning.search_space import Changes, Dimension, present_value, with_changes
from training.tuning.signals import Stop, StoppedError

METRIC = "ndcg@10"
STARTUP_TRIALS = 8  # drawn at random before what was found guides the draw
UNPRUNED_TRIALS = 4  # complete trials before one is cut short for being below their median
_DONE = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Windows:
    """Where options are judged: searched on `search`, oldest first, confirmed on `confirm` after them."""

    search: list[Fold]
    confirm: Fold


def past_windows(
    interactions: Interactions, horizon_days: int, timezone: str, *, count: int, target: Target
) -> Windows:
    """The latest windows that end before the last horizon, which stays for the gate and for tests.

    They lie side by side but for those in which nobody has such a truth: a shop may be closed for weeks.

    Args:
        interactions: the history up to the moment of which the tuner may know.
        horizon_days: length of each.
        timezone: of the shop.
        count: how many to search on, if the history has so many.
        target: what is judged.
    Raises:
        TooLittleHistoryError: not even two can be used.
    """
    reach = int(interactions.span_days // horizon_days) + 1
    every = last_folds(interactions.as_of_s, horizon_days, timezone, count=reach)[:-1]
    able = (
        fold for fold in reversed(every) if len(split(interactions, fold)[1].targets[target].customer_row)
    )
    usable = list(islice(able, count + 1))[::-1]
    if len(usable) < 2:
        end = local_day(interactions.as_of_s, timezone)
        raise TooLittleHistoryError(
            f"before the last {horizon_days} days up to {end} there are too few windows of {horizon_days} "
            f"days in which somebody came again ({len(usable)}): it takes two, one to search on and one to "
            "confirm"
        )
    return Windows(usable[:-1], usable[-1])


@dataclass(eq=False)
class Trials:
    """What it takes to measure options of one variant.

    Attributes:
        interactions: the history; each window takes what was before it.
        variant, options: the present configuration.
        target: whose NDCG@10 is judged.
        evaluation: how many customers are judged in each window; None: all are.
        longest_s: seconds of the longest measurement so far.
    """

    interactions: Interactions
    variant: str
    options: Mapping[str, Any]
    target: Target
    evaluation: EvaluationOptions | None = None
    longest_s: float = 0.0
    _fill: dict[Fold, IntArray] = field(default_factory=dict)
    _present: dict[Fold, DoubleArray] = field(default_factory=dict)

    def figures(self, fold: Fold, changes: Changes) -> DoubleArray:
        """NDCG@10 of each customer of a window who has something to hit, with these options changed."""
        if not changes and fold in self._present:
            return self._present[fold]
        started = perf_counter()
        found = self._measured(fold, changes)
        self.longest_s = max(self.longest_s, perf_counter() - started)
        if not changes:
            self._present[fold] = found
        return found

    def difference(self, fold: Fold, changes: Changes) -> tuple[float, Interval]:
        """The present configuration's mean, and by how much the changed one differs, customer by customer."""
        present = self.figures(fold, {})
        return float(present.mean()), paired_difference(self.figures(fold, changes), present)

    def _measured(self, fold: Fold, changes: Changes) -> DoubleArray:
        history = self.interactions.before(fold.as_of_s)
        if fold not in self._fill:
            popular, _ = fit_variants(history, {Popular.name: {}}, horizon_days=fold.horizon_days)
            self._fill[fold] = popular_order(popular)
        options = with_changes(self.options, changes)
        models, _ = fit_variants(history, {self.variant: options}, horizon_days=fold.horizon_days)
        result = evaluate_fold(
            self.interactions, fold, models, fill=self._fill[fold], options=self.evaluation
        )
        return result.per_customer(self.variant, METRIC, self.target)


@dataclass(frozen=True)
class Limits:
    """When a search ends; `until` is in seconds of perf_counter."""

    trials: int
    until: float


@dataclass(frozen=True)
class Found:
    """The best of a search against the present configuration.

    Attributes:
        changes: dotted option to value; empty: nothing did better on the windows of the search.
        n_trials: finished ones, cut short or not, in all runs.
        search_present, search_best: mean NDCG@10 on the windows of the search; it was chosen by the second.
        confirm_present: that of the present configuration on the window that was not searched on.
        gain: by how much the best differs there, paired by customer.
    """

    changes: Changes
    n_trials: int
    search_present: float
    search_best: float
    confirm_present: float
    gain: Interval

    @property
    def is_sure(self) -> bool:
        """Whether the best is better beyond doubt."""
        return self.gain.low > 0


class Search:
    """One study that can be left at any moment and taken up again.

    Each proposal depends on the seed and the finished trials alone: a search that was killed and taken up
    again finds what one that ran through does.
    """

    def __init__(
        self,
        study: Study,
        trials: Trials,
        windows: Windows,
        dimensions: list[Dimension],
        *,
        seed: int,
        progress: Progress,
        stop: Stop,
    ) -> None:
        self._study, self._trials, self._windows = study, trials, windows
        self._dimensions, self._seed = dimensions, seed
        self._progress, self._stop = progress, stop
        study.pruner = MedianPruner(UNPRUNED_TRIALS, n_warmup_steps=0)

    def run(self, limits: Limits) -> None:
        """Try options until a limit is reached or somebody asks for the end; the present ones come first."""
        for left in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(left.number, state=TrialState.FAIL)  # of a run that was killed
        try:
            while len(self._done()) < limits.trials and self._has_time(limits):
                self._try_one(limits)
                self._confirm_best()
            self._confirm_best()
        except StoppedError:
            pass
        self._progress.say("stopped", why=self._why(limits), trials=len(self._done()))

    def _why(self, limits: Limits) -> str:
        if self._stop.is_asked:
            return "a signal asked for it"
        if len(self._done()) >= limits.trials:
            return "--trials are done"
        return "--time-budget leaves no time for another trial"

    def found(self) -> Found | None:
        """The best that was confirmed; None before the present configuration was measured."""
        confirmed = self._study.user_attrs
        complete = [trial for trial in self._complete() if _confirmation(trial) in confirmed]
        if not complete:
            return None
        best = max(complete, key=_by_value)
        mean, *gain = confirmed[_confirmation(best)]
        return Found(
            changes=_changes(best),
            n_trials=len(self._done()),
            search_present=_value(self._complete()[0]),
            search_best=_value(best),
            confirm_present=mean,
            gain=Interval(*gain),
        )

    def _try_one(self, limits: Limits) -> None:
        n_done = len(self._done())
        if not n_done and not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self._study.enqueue_trial(self._present_parameters())
        draw = int(np.random.SeedSequence([self._seed, n_done]).generate_state(1)[0])
        self._study.sampler = TPESampler(seed=draw, n_startup_trials=STARTUP_TRIALS)
        trial = self._study.ask()
        drawn = self._drawn(trial)
        changes = drawn if n_done else {}
        trial.set_user_attr("changes", changes)
        started = perf_counter()
        try:
            state, means = self._measured(trial, changes, limits)
        except StoppedError:
            self._study.tell(trial, state=TrialState.FAIL)
            raise
        mean = float(np.mean(means))
        self._study.tell(trial, mean if state is TrialState.COMPLETE else None, state)
        told = [f"{name} {'learned' if value is None else value}" for name, value in changes.items()]
        self._progress.say(
            "trial",
            number=n_done,
            mean=round(mean, 5),
            windows=f"{len(means)} of {len(self._windows.search)}",
            options=", ".join(told) or "as they are",
            seconds=round(perf_counter() - started, 2),
        )

    def _measured(self, trial: Trial, changes: Changes, limits: Limits) -> tuple[TrialState, list[float]]:
        """The mean of each window; the last ones are missing where the median of other trials was better.

        Raises:
            StoppedError: somebody asked for the end, or time is up; never that in the first trial.
        """
        known = next((earlier for earlier in self._complete() if _changes(earlier) == changes), None)
        if known is not None:
            return TrialState.COMPLETE, list(known.user_attrs["means"])
        means: list[float] = []
        for number, fold in enumerate(self._windows.search):
            if not self._has_time(limits):
                raise StoppedError
            with self._stop.leaving():
                means.append(float(self._trials.figures(fold, changes).mean()))
            trial.report(float(np.mean(means)), number)
            if len(means) < len(self._windows.search) and trial.should_prune():
                return TrialState.PRUNED, means
        trial.set_user_attr("means", means)
        return TrialState.COMPLETE, means

    def _confirm_best(self) -> None:
        """Measure the best so far on the window after the search, so that a sudden end finds it done."""
        best = max(self._complete(), key=_by_value, default=None)
        if best is None or _confirmation(best) in self._study.user_attrs:
            return
        with self._stop.leaving():
            mean, gain = self._trials.difference(self._windows.confirm, _changes(best))
        self._study.set_user_attr(_confirmation(best), [mean, gain.mean, gain.low, gain.high])

    def _drawn(self, trial: Trial) -> Changes:
        """What was drawn, without what is so already."""
        values = {dimension.name: dimension.suggest(trial) for dimension in self._dimensions}
        return {name: value for name, value in values.items() if value != self._present(name)}

    def _present_parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = {}
        for dimension in self._dimensions:
            parameters |= dimension.as_parameters(self._present(dimension.name))
        return parameters

    def _present(self, name: str) -> Any:
        return present_value(self._trials.variant, self._trials.options, name)

    def _has_time(self, limits: Limits) -> bool:
        """For one more window, and two to confirm what it may find; the first trial takes what it takes."""
        return not self._complete() or perf_counter() + 3 * self._trials.longest_s < limits.until

    def _done(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=_DONE)

    def _complete(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _confirmation(trial: FrozenTrial) -> str:
    """Under which name the study keeps how a trial did on the window that was not searched on."""
    return f"confirmed {trial.number}"


def _changes(trial: FrozenTrial) -> Changes:
    changes: Changes = trial.user_attrs["changes"]
    return changes


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None  # of a complete one
    return trial.value


def _by_value(trial: FrozenTrial) -> tuple[float, int]:
    """Higher is better, the earlier one of equals."""
    return _value(trial), -trial.number
