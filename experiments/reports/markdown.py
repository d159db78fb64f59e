"""A judgement as Markdown, for a chat, a ticket or a terminal."""

from collections.abc import Iterable

from experiments.judgement import Comparison, Judgement
from experiments.reports.words import bound, moment, number, probability, signed, spread

ROLES = {
    "primary": "Primary",
    "guardrail": "Guardrails",
    "secondary": "Secondary",
    "exploratory": "Exploratory: corrected for nothing, ideas and no findings",
}
HEAD = (
    "metric",
    "arm",
    "control",
    "arm's",
    "difference",
    "relative",
    "at every look",
    "p",
    "p corrected",
    "",
)


def to_markdown(found: Judgement) -> str:
    """A report without pictures."""
    arm = f" {found.headline_arm}" if found.headline_arm else ""
    parts = [
        f"# {_cell(found.experiment_id)}, version {found.version}",
        _cell(found.hypothesis),
        f"**{found.headline.word}{arm}.** {_cell(found.headline.text)}. Rule: {_cell(found.headline.rule)}.",
        _sample(found),
        *(_cell(note) for note in found.notes),
        "## Health",
        _table(
            ("check", "state", "what was seen"), ((one.name, one.level, one.text) for one in found.health)
        ),
        "## Arms",
        _arms(found),
    ]
    for role, title in ROLES.items():
        lines = [one for one in found.comparisons if one.role == role]
        if lines:
            parts += [f"## {title}", _comparisons(lines)]
    if found.preferences:
        parts += ["## Interleaved lists: they nominate, and decide nothing", _preferences(found)]
    if found.choices:
        title = "## A place filled by lot: what models that weren't served would do there, deciding nothing"
        parts += [title, _choices(found)]
    parts += [
        "## Looks",
        _table(
            ("look", "arm", "information", "statistic", "bound", "alpha spent"),
            (
                (
                    moment(one.at_ms),
                    one.arm,
                    f"{one.information:.1%}",
                    f"{one.statistic:+.2f}",
                    bound(one.bound),
                    f"{one.spent:.5f} of {found.alpha:g}",
                )
                for one in found.looks
            ),
        ),
        "## What became of the lines",
        _table(
            ("of", "what", "lines"),
            (
                (of, what, f"{count:,}")
                for of, counts in (("exposures", found.exposure_counts), ("outcomes", found.outcome_counts))
                for what, count in counts.items()
            ),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _arms(found: Judgement) -> str:
    figures = ("customers", "judged", "answers", "products shown", "latency p50, p90, p99 ms")
    return _table(
        ("arm", "model", *figures, "decision"),
        (
            (
                one.name,
                one.model or "-",
                f"{one.customers:,}",
                f"{one.closed:,}",
                f"{one.answers:,}",
                f"{one.products:,}",
                ", ".join(f"{part:.1f}" for part in one.latency_ms or ()) or "-",
                f"{one.verdict.word}: {one.verdict.rule}" if one.verdict else "-",
            )
            for one in found.arms
        ),
    )


def _preferences(found: Judgement) -> str:
    head = ("arm", "customers who clicked", "more on its model's", "more on the other's", "share", "p")
    return _table(
        head,
        (
            (
                name,
                f"{one.customers:,}",
                f"{one.first:,}",
                f"{one.second:,}",
                "-" if one.share is None else f"{one.share:.1%} ({one.low:.1%} to {one.high:.1%})",
                probability(one.p),
            )
            for name, one in found.preferences.items()
        ),
    )


def _choices(found: Judgement) -> str:
    head = ("arm", "who chooses", "answers", "worth customers", "same", "clicks, SNIPS", "DR", "gain, DR", "")
    return _table(
        head,
        (
            (
                name,
                one.chooser or "its own list",
                f"{one.answers:,}",
                f"{one.effective_n:,.0f}",
                f"{one.same:.0%}",
                spread(one.snips),
                spread(one.robust),
                spread(one.gain, is_gain=True),
                one.why or one.word,
            )
            for name, choices in found.choices.items()
            for one in choices
        ),
    )


def _sample(found: Judgement) -> str:
    """How far it is, and what the next look will ask for."""
    text = (
        f"As of {found.now:%Y-%m-%d %H:%M} UTC, day {found.elapsed_days} of {found.planned_days}: "
        f"{found.closed:,} of {found.planned_n:,} planned customers are judged, {found.customers:,} came."
    )
    if found.next_bound is None or found.next_information is None:
        return text
    ahead = f"{bound(found.next_bound)} at {found.next_information:.1%}"
    return f"{text} After another day like the last the bound is {ahead}."


def _comparisons(lines: list[Comparison]) -> str:
    return _table(HEAD, (_comparison(one) for one in lines))


def _comparison(one: Comparison) -> tuple[str, ...]:
    name = one.metric if one.segment == "all" else f"{one.metric}, {one.segment} customers"
    effect = one.effect
    if effect is None:
        return (name, one.arm, *("-",) * 7, one.state or "too little is known, or all have the same")
    relative = "-"
    if effect.relative is not None and effect.relative_low is not None and effect.relative_high is not None:
        relative = f"{effect.relative:+.1%} ({effect.relative_low:+.1%} to {effect.relative_high:+.1%})"
    return (
        name,
        one.arm,
        number(effect.control),
        number(effect.treatment),
        f"{signed(effect.difference)} ({signed(effect.low)} to {signed(effect.high)})",
        relative,
        f"{signed(one.around.low)} to {signed(one.around.high)}",
        probability(effect.p),
        "-" if one.p_corrected is None else probability(one.p_corrected),
        one.state,
    )


def _table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    rows = [head, ("---",) * len(head), *lines]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)


def _cell(text: str) -> str:
    """Text that can't end a cell or begin anything of Markdown's."""
    for sign in "\\`*_{}[]<>#|":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
