"""Shipping a variant: what the judge says comes first, and what can't be shipped says why."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from experiments.cli import commands
from experiments.commands import ship
from models.errors import NextbestError
from storage.record.erasure_key import load_erasure_key
from storage.record.record import FILE, record_url
from storage.record.schema import prepare
from storage.record.tables import audit
from storage.versions.store import Store
from tests.data.records import opened, rows
from tests.data.shop_logs import purchases
from tests.data.tiny_version import VARIANT, publish
from tests.integration.test_trials_workers import SPEC as LIVE

SPEC = LIVE.replace('name = "als"', 'name = "new"')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with two variants, in whose record the experiment runs."""
    root = tmp_path / "store"
    version_id = publish(Store(root), variants=(VARIANT, "als"))
    purchases().write_parquet(Store(root).versions / version_id / "purchases.parquet")
    (root / FILE).parent.mkdir(exist_ok=True)
    prepare(record_url(root, None))
    begin(root, SPEC)
    return root


def begin(root: Path, spec: str) -> None:
    (root.parent / "spec.toml").write_text(spec)
    did(root, "start", str(root.parent / "spec.toml"))


def did(root: Path, *command: str) -> str:
    ended = CliRunner().invoke(commands, [*command, "--store", str(root)], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.output


def serving(root: Path) -> str:
    champion = Store(root).champion()
    assert champion is not None
    return champion.current.variant


def test_what_the_judge_does_not_ship_is_shipped_only_by_force_and_the_record_keeps_both(root: Path) -> None:
    with pytest.raises(NextbestError, match=r"CONTINUE: too few .* are over\. --force ships new"):
        did(root, "ship", "new")
    assert serving(root) == VARIANT
    assert " running " in did(root, "list")
    assert "try is shipped: new, of which the judge says CONTINUE" in did(root, "ship", "new", "--force")
    assert serving(root) == "als"
    with opened(record_url(root, None), load_erasure_key(root, None)) as record:
        told = [json.loads(str(detail)) for (detail,) in rows(record, audit, "detail")]
    assert (told[-1]["variant"], told[-1]["verdict"][:9]) == ("new", "CONTINUE:")


def test_what_the_judge_ships_needs_no_force_and_is_shipped_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ship, "_said_of", lambda *_: "SHIP: it is better")
    did(root, "stop", "try")
    with pytest.raises(NextbestError, match="no experiment that runs has it"):
        did(root, "ship", "new")
    assert 'default_variant = "als"' in did(root, "ship", "new", "--experiment", "try")
    with pytest.raises(NextbestError, match="was shipped already"):
        did(root, "ship", "control", "--experiment", "try", "--force")


@pytest.mark.parametrize("policy", ['interleave = "popular"', 'explore = 1\nrivals = ["popular"]'])
def test_what_nominates_is_not_shipped_even_by_force(root: Path, policy: str) -> None:
    did(root, "stop", "try")
    screen = SPEC.replace('"try"', '"screen"').replace('model = "als"', f'model = "als"\n{policy}')
    begin(root, screen)
    with pytest.raises(NextbestError, match="it nominates"):
        did(root, "ship", "new", "--force")
    assert serving(root) == VARIANT


def test_a_variant_is_named_by_what_has_it(root: Path) -> None:
    for command, why in (
        (("other",), "no experiment that runs has it"),
        (("other", "--experiment", "try"), "try has none of that name"),
        (("new", "--experiment", "none"), "no experiment none in this record"),
        (("control",), "it is the control"),
    ):
        with pytest.raises(NextbestError, match=why):
            did(root, "ship", *command)


def test_popular_is_shipped_where_the_version_has_its_lists(root: Path) -> None:
    did(root, "stop", "try")
    begin(root, SPEC.replace('"try"', '"top"').replace('"als"', '"popular"'))
    with pytest.raises(NextbestError, match="no lists of 'popular'"):
        did(root, "ship", "new", "--force")
    assert " running " in did(root, "list")
    publish(Store(root), variants=(VARIANT, "popular"))  # without its purchases: force needs no judge
    did(root, "ship", "new", "--force")
    assert serving(root) == "popular"
