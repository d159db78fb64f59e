"""Docs name every setting and every key of a specification, and link only to what is there."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from experiments.specification import Analysis, Head, Metric, VariantSpec
from service.settings import Settings
from storage.history.options import HistoryOptions, PromotionsOptions, PurchasesOptions, TableOptions
from training.config import NightConfig, NightOptions, RecordOptions
from training.evaluation.one_fold import EvaluationOptions
from training.gate import GateOptions

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
EXPERIMENTS = (ROOT / "docs/experiments.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("field", Settings.model_fields)
def test_operations_names_every_setting_of_the_service(field: str) -> None:
    assert f"| `NEXTBEST_{field.upper()}` |" in OPERATIONS


@pytest.mark.parametrize(
    ("heading", "options"),
    [
        ("`[history]`", HistoryOptions),
        ("`[history.purchases]`, `.products`", TableOptions),
        ("only `[history.purchases]`", PurchasesOptions),
        ("only `[history.promotions]`", PromotionsOptions),
        ("`[night]`", NightOptions),
        ("`[gate]`", GateOptions),
        ("`[evaluation]`", EvaluationOptions),
        ("`[record]`", RecordOptions),
    ],
)
def test_operations_names_every_key_of_the_nights_configuration(
    heading: str, options: type[BaseModel]
) -> None:
    table = OPERATIONS.split(f"\n| {heading}", 1)[1].split("\n\n")[0]
    is_of_table = issubclass(options, TableOptions) and options is not TableOptions
    inherited = TableOptions.model_fields if is_of_table else {}
    for name, field in options.model_fields.items():
        if name in inherited or isinstance(field.default, BaseModel):
            continue
        assert f"\n| `{name}` |" in table
        plain = field.default if isinstance(field.default, int | float) else None
        if plain is not None:
            shown = str(plain).lower() if isinstance(plain, bool) else f"{plain:g}"
            assert f"\n| `{name}` | {shown} |" in table


def test_operations_has_every_section_of_the_nights_configuration() -> None:
    for name in NightConfig.model_fields:
        assert f"`[{name}" in OPERATIONS


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("`[experiment]`", Head),
        ("`[[variants]]`", VariantSpec),
        ("`[analysis]`", Analysis),
        ("`[[metrics]]`", Metric),
    ],
)
def test_experiments_names_every_key_of_a_specification(heading: str, section: type[BaseModel]) -> None:
    table = EXPERIMENTS.split(f"\n| {heading}", 1)[1].split("\n\n")[0]
    assert not [name for name in section.model_fields if f"`{name}`" not in table]


def anchors(page: Path) -> set[str]:
    """What a link may have behind its #, as GitHub makes it of headings."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = [title.lower() for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        target, _, section = link.partition("#")
        there = page.parent / target if target else page
        assert there.exists(), link
        assert not section or section in anchors(there), link
