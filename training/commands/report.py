"""`nbo-train report`: what a shop can act on, from its history alone, as a page and as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from storage.history.read import read_history
from storage.page import page, without_nan
from storage.versions.store import Store, write_atomic
from storage.versions.version import Version
from training.commands.options import config_option, data_option, out_folder_option
from training.config import load_config
from training.history.doubts import doubts
from training.progress import Progress
from training.reports import shop_figures
from training.reports.shop_figures import LISTED, MIN_BUYERS, Section


@click.command("report")
@data_option
@config_option
@click.option(
    "--store",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Store whose champion's lists are held against later purchases.  [default: that part is left out]",
)
@out_folder_option
def report(*, data: str, config: Path | None, store: Path | None, out: Path) -> None:
    """Who comes again, what is lost, what campaigns and stock do: shop-report.html and .json in --out."""
    settings = load_config(config, data=data)
    version, variant = _champion(Store(store)) if store else (None, None)
    out.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    with progress.step("read"):
        history = read_history(
            data, settings.history, as_of=None, rejects=out / "rejects.csv", now=datetime.now(UTC)
        )
    doubted = doubts(history, settings.night.horizon_days, None)
    for doubt in doubted:
        progress.say("doubt", why=doubt)
    with progress.step("count"):
        sections = {
            "coming_again": shop_figures.coming_again(history),
            "cohorts": shop_figures.cohorts(history),
            "losing": shop_figures.losing(history),
            "campaigns": shop_figures.campaigns(history),
            "stock": shop_figures.stock(history),
            "never_bought": shop_figures.never_bought(history, version, variant),
        }
    lost = {name: n for name, counts in history.counts.items() if (n := sum(counts.rejected.values()))}
    source = {
        "as_of": history.as_of.isoformat(),
        "timezone": history.timezone,
        "fingerprint": history.fingerprint,
        "rejected": lost,
        "left_out": history.left_out,
        "notes": doubted,
    }
    write_atomic(out / "shop-report.json", to_json(sections, source))
    write_atomic(
        out / "shop-report.html",
        page(
            "training.reports/shop.html.j2",
            history.timezone,
            title="What the history says",
            as_of=history.as_of,
            listed=LISTED,
            min_regulars=MIN_BUYERS,
            rejected=_counts_text(lost),
            left_out=_counts_text(history.left_out),
            notes=doubted,
            **sections,
        ),
    )
    click.echo(f"{out / 'shop-report.html'}, {out / 'shop-report.json'}")
    if lost:
        click.echo(f"rejected: {_counts_text(lost)}; see {out / 'rejects.csv'}", err=True)


def _champion(store: Store) -> tuple[Version, str]:
    """The version that answers, and its variant."""
    current = store.require_champion().current
    return store.open(current.version_id), current.variant


def _counts_text(lost: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in lost.items())


def to_json(sections: dict[str, Section], source: Mapping[str, object]) -> str:
    content: dict[str, object] = {"history": source} | {
        name: asdict(section) for name, section in sections.items()
    }
    return json.dumps(without_nan(content), indent=1) + "\n"
