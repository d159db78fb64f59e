"""Two stages: candidates from many sources, then boosted trees for their order and their probability."""

import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import batched
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from models.affinity import AffinityOptions
from models.als import AlsOptions
from models.arrays import DAY_S, AnyIntArray, FloatArray, IntArray
from models.base import Model, Told
from models.blend import PARTS, Blend, BlendOptions
from models.content import ContentOptions
from models.due import DueOptions
from models.ease import EaseOptions
from models.errors import BadOptionError
from models.history.catalogue import Catalogue
from models.history.interactions import Interactions
from models.history.promotions import Promotions
from models.item_item import ItemItemOptions
from models.neighbours import NeighboursOptions
from models.numerics.boosting import MOST_TREES, TreeOptions
from models.numerics.cores import AT_ONCE, at_once, give_back, streamed
from models.parts import gathered, parted
from models.popular import PopularOptions
from models.ranking.calibration import LEAST_WINDOWS, UNCHANGED, calibrated, learned_calibration
from models.ranking.ensembles import Ensembles, Opinions
from models.ranking.features import LATELY
from models.ranking.lessons import Lessons
from models.ranking.levels import levels
from models.ranking.sources import SOURCES, Candidates, Limits
from models.ranking.view import View, feature_names
from models.ranking.windows import Window, WindowOptions, objection_to, window, window_starts
from models.repeat import RepeatOptions
from models.season import Season, SeasonOptions
from models.sequel import SequelOptions
from models.state import ModelState
from models.trend import TrendOptions
from models.validation.folds import FoldOptions

FEWEST_WINDOWS = 5  # that what is enough to learn from is spread over, where the history holds so many
TOGETHER = 128  # customers whose pairs trees are asked of at once: with few, threads wait for each other
SHARE_OF_BUDGET = 0.6  # for the windows; the rest is for the trees
HISTORY = ("customer_row", "product_row", "order_row", "at_s")
CATALOGUE = ("category_row", "brand_row", "price", "available_s")
PROMOTION = ("product_row", "starts_s", "ends_s", "reach")


@dataclass(frozen=True)
class RankerOptions(FoldOptions):
    """Options of `ranker` and `discovery`, beside those of FoldOptions, whose folds are the windows here.

    Attributes:
        without: names of sources that are left out.
        own_candidates: own products that each source may list for one customer.
        new_candidates: products new to the customer that each source may list.
        pool: at most so many products may be listed as new to somebody, those most taken up lately; bounds
            the cost where a catalogue is large.
        negatives: about so many candidates that were not bought are learned from for each customer, drawn
            evenly.
        likely_negatives: for the probability about so many more, of own products, drawn in proportion to
            what was expected of them.
        enough_bought: with about so many products bought, each counted once for a customer and window, no
            more windows are needed; one window holds at most a fifth of them, so that several are seen.
        time_budget_s: seconds that fit() should take at most, 0 for any; it sets the number of windows, but
            never to fewer than it takes to learn and to correct probabilities. With a budget the speed of the
            machine changes what is learned. After fit it is 0, and n_folds the windows that there was time
            for: a fit with these options takes as many, however fast.
        calibration: shift and slope of the log odds, and how much steeper they are from a probability of .1
            and of .5 on; None: learned, as much being expected altogether as without, and 0, 1, 0, 0 where
            that doesn't help.
        trees: how trees are grown.
        popular ... content: options of the sources.
    """

    without: tuple[str, ...] = ()
    own_candidates: int = 150
    new_candidates: int = 100
    pool: int = 8000
    negatives: int = 60
    likely_negatives: int = 30
    enough_bought: int = 110_000
    time_budget_s: float = 0.0
    calibration: tuple[float, ...] | None = None
    trees: TreeOptions = field(default_factory=TreeOptions)
    popular: PopularOptions = field(default_factory=PopularOptions)
    trend: TrendOptions = field(default_factory=TrendOptions)
    season: SeasonOptions = field(default_factory=SeasonOptions)
    repeat: RepeatOptions = field(default_factory=RepeatOptions)
    due: DueOptions = field(default_factory=DueOptions)
    item_item: ItemItemOptions = field(default_factory=ItemItemOptions)
    sequel: SequelOptions = field(default_factory=SequelOptions)
    als: AlsOptions = field(default_factory=AlsOptions)
    ease: EaseOptions = field(default_factory=EaseOptions)
    neighbours: NeighboursOptions = field(default_factory=NeighboursOptions)
    affinity: AffinityOptions = field(default_factory=AffinityOptions)
    content: ContentOptions = field(default_factory=ContentOptions)
    n_folds: int = field(default=12, kw_only=True)
    enough_customers: int = field(default=20_000, kw_only=True)
    max_customers: int = field(default=3000, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [source.name for source in SOURCES]
        unknown = [name for name in self.without if name not in names]
        if unknown:
            raise BadOptionError("without", f"{unknown[0]!r} is no source; there are: {', '.join(names)}")
        if self.calibration is not None and len(self.calibration) != len(UNCHANGED):
            raise BadOptionError("calibration", f"{self.calibration!r} is not a shift, a slope and two bends")

    @property
    def limits(self) -> Limits:
        return Limits(self.own_candidates, self.new_candidates, self.pool)

    @property
    def sources(self) -> list[type[Model[Any]]]:
        """The sources that are not left out."""
        return [source for source in SOURCES if source.name not in self.without]


class Ranker(Model[RankerOptions]):
    """Candidates from all sources, put in order by two ensembles of boosted trees; one gives the probability.

    Both learn from past windows: what was known when each began, and what was then bought. LambdaRank learns
    the order among those who came; a classifier the probability, also from those who stayed away. The order
    is by the sum of both, each in its standard deviations. Which of the products that are new to the customer
    get the places of new ones in it, is said by these, and by two more that learn from such products alone.
    What rose a year ago is added to what each says; what the days of the month and the time of the year bring
    altogether, to the log odds. With too little history the blend answers instead.

    Source: two stages as in Covington et al. 2016; LambdaMART, Burges 2010.
    """

    name: ClassVar[str] = "ranker"
    revision: ClassVar[int] = 26
    options_type: ClassVar[type] = RankerOptions

    why_not_: str  # why the blend answers instead; empty if it doesn't
    sources_: dict[str, Model[Any]]
    windows_: list[int]  # where those that were learned from begin, Unix seconds
    gains_: dict[str, float]  # how much each feature brought to the order
    _history: Interactions
    _ensembles: Ensembles
    _blend: Blend
    _pool: IntArray | None  # of what was loaded: its history has no titles to find it by

    def __init__(
        self,
        options: RankerOptions | None = None,
        fitted: Mapping[str, Model[Any]] = MappingProxyType({}),
        remembered: MutableMapping[Any, Window] | None = None,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        """A ranker that takes what it can from others of the same history.

        Args:
            options: see there.
            fitted: sources and a blend by name, fitted on what fit() will get.
            remembered: windows of this shop's history that a ranker left there; fit() takes and leaves some.
            on_step: is told what fit() is at.
        """
        super().__init__(options)
        self._seen: View | None = None
        self._fitted = fitted
        self._remembered = remembered
        self._on_step = on_step

    def fit(self, interactions: Interactions) -> Self:
        started = time.monotonic()
        options = self.options
        missing = [source for source in options.sources if source.name not in self._fitted]
        made = at_once(
            [partial(source(getattr(options, source.name)).fit, interactions) for source in missing]
        )
        fitted = {**self._fitted, **{source.name: source for source in made}}
        self.sources_ = {source.name: fitted[source.name] for source in options.sources}
        learned: dict[str, Any] = {name: source.options_ for name, source in self.sources_.items()}
        self.options_ = replace(options, **learned)
        self.n_products_ = interactions.n_products
        self._history, self._pool, self._seen = interactions, None, None
        windows = self._windows(interactions, started)
        self.windows_ = [each.as_of_s for each in windows]
        self.why_not_ = objection_to(windows)
        if self.why_not_:
            self._fall_back(interactions)
        else:
            self._learn(windows)
        return self

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for what is no candidate."""
        self.check_fitted()
        if self.why_not_:
            scores = self._blend.score(rows)
            if self.is_for_new_only:
                scores[~np.isnan(self._blend.parts_.repeat.score(rows))] = np.nan  # repeat scores what is own
        else:
            scores = np.full((len(rows), self.n_products_), np.nan, np.float32)
            distinct, place = np.unique(rows, return_inverse=True)
            first = np.zeros(len(distinct), np.int64)
            first[place] = np.arange(len(rows))
            for part in self.judged(distinct):
                at = first[np.searchsorted(distinct, part.found.customer_row)]
                scores[at, part.found.product_row] = part.order
            if len(distinct) < len(rows):
                scores = scores[first[place]]
        return scores if products is None else scores[:, products]

    def opinions(self, rows: IntArray) -> Iterator[Told]:
        """See Model; a block's products are those that are somebody's candidates."""
        self.check_fitted()
        if self.why_not_:
            yield from super().opinions(rows)
            return
        yield from (part.told() for part in self.judged(rows))

    def judged(self, rows: IntArray) -> Iterator[Opinions]:
        """The candidates of these customers with their order and probability, block by block.

        Args:
            rows: customer rows, rising and distinct.
        """
        steps = self._view().candidates(rows)
        n_blocks = max(1, TOGETHER * len(steps) // max(len(rows), 1))
        for parts in streamed(partial(self._judged, some) for some in batched(steps, n_blocks)):
            yield from parts

    def state(self) -> ModelState:
        """See Model; the sources' arrays, or the blend's, carry their name in front."""
        facts = super().state().facts
        facts |= {"why_not": self.why_not_, "windows": self.windows_, "gains": self.gains_}
        if self.why_not_:
            return gathered(ModelState({}, facts), {Blend.name: self._blend})
        arrays = {name: getattr(self._history, name) for name in HISTORY}
        arrays |= {name: getattr(self._history.catalogue, name) for name in CATALOGUE}
        seen_since_s = self._history.as_of_s - int(LATELY * self.options_.horizon_days * DAY_S)
        promotions = self._history.catalogue.promotions.since(seen_since_s)
        arrays |= {f"promotion_{name}": getattr(promotions, name) for name in PROMOTION}
        arrays |= {"pool": self._view().pool, **self._ensembles.arrays()}
        facts |= {"as_of_s": self._history.as_of_s, "n_customers": self._history.n_customers}
        facts |= {"spread": self._ensembles.spread, "level": self._ensembles.level}
        return gathered(ModelState(arrays, facts), self.sources_)

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """See Model."""
        facts, arrays = state.facts, state.arrays
        model = super().from_state(state)
        model.why_not_, model.windows_, model.gains_ = facts["why_not"], facts["windows"], facts["gains"]
        if model.why_not_:
            blend = parted(state, [Blend])[Blend.name]
            assert isinstance(blend, Blend)
            model._blend = blend
            return model
        model.sources_ = parted(state, SOURCES)
        model._history = Interactions(
            **{name: arrays[name] for name in HISTORY},
            catalogue=Catalogue.of(
                arrays["category_row"],
                brand_row=arrays["brand_row"],
                price=arrays["price"],
                available_s=arrays["available_s"],
                promotions=Promotions(*(arrays[f"promotion_{name}"] for name in PROMOTION)),
            ),
            as_of_s=facts["as_of_s"],
            n_customers=facts["n_customers"],
        )
        model._pool = arrays["pool"]
        model._ensembles = Ensembles.of_arrays(arrays, facts["spread"], facts["level"])
        return model

    def _view(self) -> View:
        """What is known now; made when it is first asked for: a version's champion alone needs it."""
        if self._seen is None:
            options = self.options_
            horizon_days, limits = options.horizon_days, options.limits
            self._seen = View(self._history, self.sources_, horizon_days, limits, self._pool)
        return self._seen

    def _judged(self, steps: Sequence[Callable[[], Candidates]]) -> list[Opinions]:
        """What is said of several blocks of candidates: the trees are asked of all at once."""
        view, line = self._view(), self.options_.calibration
        assert line is not None
        blocks = [step() for step in steps]
        if self.is_for_new_only:
            blocks = [each.at(np.flatnonzero(~each.is_own)) for each in blocks]
        found = Candidates.joined(blocks)
        features = np.concatenate([view.features(each) for each in blocks])
        order, log_odds = self._ensembles.judged(found, features, self._rise(found))
        told = order.astype(np.float32), calibrated(log_odds, line)
        ends = np.cumsum([len(each) for each in blocks])[:-1]
        return list(map(Opinions, blocks, *(np.split(each, ends) for each in told)))

    def _rise(self, found: Candidates) -> FloatArray:
        """What last year tells of each, which no window can have shown to the trees; 0 without the source."""
        season = self.sources_.get(Season.name)
        known = season.rise_ if isinstance(season, Season) else np.zeros(self.n_products_, np.float32)
        return known[found.product_row]

    def _windows(self, interactions: Interactions, started: float) -> list[Window]:
        """The windows to learn from: as many as the options, the history and the time allow."""
        options = self.options_
        sources = {name: type(source)(source.options_) for name, source in self.sources_.items()}
        about = WindowOptions(
            horizon_days=options.horizon_days,
            limits=options.limits,
            max_customers=options.max_customers,
            max_bought=options.enough_bought // FEWEST_WINDOWS,
            negatives=options.negatives,
            likely=options.likely_negatives,
            seed=options.seed,
        )
        kind = repr([(name, source.options) for name, source in sources.items()] + [about])
        windows: list[Window] = []
        # without one to share, of this fit alone: another history may have windows of the same days
        remembered: MutableMapping[Any, Window] = {} if self._remembered is None else self._remembered
        n_customers, n_bought, n_asked, n_folds = 0, 0, 0, options.n_folds
        starts = window_starts(interactions, options.horizon_days, options.n_folds)
        while n_asked < len(starts):
            lacking = round((options.enough_bought - n_bought) / max(about.max_bought, 1))
            if n_customers >= options.enough_customers or lacking <= 0:
                break
            before, some = time.monotonic(), starts[n_asked : n_asked + min(lacking, AT_ONCE)]
            self._on_step(f"past window {n_asked + 1} of {len(starts)} at most")
            n_asked += len(some)
            missing = [start_s for start_s in some if (start_s, kind) not in remembered]
            is_alone = len(missing) == 1
            made = at_once(
                [partial(window, interactions, start_s, sources, about, is_alone) for start_s in missing]
            )
            give_back()  # many times what a window keeps
            remembered.update({(each.as_of_s, kind): each for each in made if each is not None})
            found = [remembered[start_s, kind] for start_s in some if (start_s, kind) in remembered]
            windows += [each.only(~each.is_own) if self.is_for_new_only else each for each in found]
            n_customers += sum(each.n_customers for each in found)
            n_bought += sum(each.n_bought for each in found)
            now = time.monotonic()
            is_late = now - started + (now - before) > SHARE_OF_BUDGET * options.time_budget_s > 0
            is_enough = len(windows) >= LEAST_WINDOWS and not objection_to(windows)
            if is_late and n_asked < len(starts) and is_enough:
                n_folds = n_asked
                break
        self.options_ = replace(options, n_folds=n_folds, time_budget_s=0.0)
        return windows

    def _learn(self, windows: list[Window]) -> None:
        self._on_step("trees")
        options, now_s = self.options_, self._history.as_of_s
        *known, level = levels(self._history, [*self.windows_, now_s], options.horizon_days).tolist()
        lessons = Lessons(windows, options.seed, known)
        trees, calibration = options.trees, options.calibration
        if trees.n_trees is None or calibration is None:
            trees, predicted = lessons.learned(trees)
            calibration = calibration or learned_calibration(predicted)
            self.options_ = replace(options, trees=trees, calibration=calibration)
        self._ensembles = Ensembles.grown(lessons, trees, windows[0], level)
        gains = zip(feature_names(self.sources_), self._ensembles.gains(), strict=True)
        self.gains_ = {name: round(float(gain), 6) for name, gain in gains}

    def _fall_back(self, interactions: Interactions) -> None:
        """The blend of the same sources, which is what little history is enough for."""
        blend = self._fitted.get(Blend.name)
        options = self.options_
        if not isinstance(blend, Blend):
            parts = {part.name: getattr(options, part.name) for part in PARTS}
            chosen = BlendOptions(horizon_days=options.horizon_days, seed=options.seed, **parts)
            blend = Blend(chosen, self.sources_).fit(interactions)
        self._blend, self.gains_ = blend, {}
        trees = replace(options.trees, n_trees=options.trees.n_trees or MOST_TREES)
        self.options_ = replace(options, calibration=options.calibration or UNCHANGED, trees=trees)


class Discovery(Ranker):
    """The ranker of products that are new to the customer: it lists and learns from nothing else."""

    name: ClassVar[str] = "discovery"
    is_for_new_only: ClassVar[bool] = True
