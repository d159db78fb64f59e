"""A configuration with other options of one variant: comments and everything else stay as they were."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.items import InlineTable

from training.tuning.search_space import Value, with_changes


def tuned_config(text: str, variant: str, changes: Mapping[str, Value], findings: Sequence[str]) -> str:
    """The text of nextbest.toml with `changes` in `[variants.<variant>]`.

    Args:
        text: the present file's, a valid configuration; empty for none.
        variant: whose options change.
        changes: dotted option to value; None takes it out.
        findings: lines that become comments at the top, instead of those of an earlier run for this variant.
    """
    mark = f"# tuned {variant}:"
    lines = text.splitlines(keepends=True)
    n_old = next((n for n, line in enumerate(lines) if not line.startswith("# tuned ")), len(lines))
    head = [line for line in lines[:n_old] if not line.startswith(mark)]
    found = [f"{mark} {line}\n" for line in findings]
    rest = "".join(lines[n_old:])
    document = tomlkit.parse(rest)
    for name, value in changes.items():
        _set(document, ["variants", variant, *name.split(".")], value)
    written = tomlkit.dumps(document)
    if tomllib.loads(written) != _expected(rest, variant, changes):  # a layout that can't be edited in place
        written = tomlkit.dumps(_expected(rest, variant, changes))
    return "".join([*head, *found, written])


def _set(table: Any, path: Sequence[str], value: Value) -> None:
    *tables, last = path
    for key in tables:
        if key not in table:
            if value is None:
                return
            is_inline = isinstance(table, InlineTable)  # which can hold its like only
            table[key] = tomlkit.inline_table() if is_inline else tomlkit.table(key == "variants")
        table = table[key]
    if value is None:
        table.pop(last, None)
    else:
        table[last] = value


def _expected(text: str, variant: str, changes: Mapping[str, Value]) -> dict[str, Any]:
    content = tomllib.loads(text)
    if changes:
        variants = content.setdefault("variants", {})
        variants[variant] = with_changes(variants.get(variant, {}), changes)
    return content
