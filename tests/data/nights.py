"""`nbo-train` as it is called: in this process, or as a process of its own."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from storage import svg
from storage.versions.manifest import Manifest
from storage.versions.store import Store
from storage.versions.version import Version
from training.cli import main

NBO_TRAIN = str(Path(sys.executable).with_name("nbo-train"))
BLEND = """[night]
variants = ["popular", "repeat", "due", "item_item", "als", "blend"]
default_variant = "blend"
"""
QUICK = '[night]\nvariants = ["popular", "item_item", "repeat"]\ndefault_variant = "repeat"\n'


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of standard error."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    @property
    def message(self) -> str:
        """The lines of standard error that are for people, without `nbo-train: `."""
        lines = [line for line in self.err.splitlines() if not line.startswith("{")]
        return "\n".join(lines).removeprefix("nbo-train: ")


def run(*arguments: object) -> Ran:
    """`nbo-train` with these arguments, in this process.

    Its charts are not drawn, which is a third of a small night: tests of reports draw each, and so does a
    night in a process of its own.
    """
    out, err, code = io.StringIO(), io.StringIO(), 0
    called = patch.object(sys, "argv", ["nbo-train", *map(str, arguments)])
    undrawn = patch.object(svg, "picture", lambda *_, **__: "<svg></svg>")
    with called, undrawn, redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


def run_process(*arguments: object) -> Ran:
    """`nbo-train` with these arguments, as cron starts it."""
    done = subprocess.run([NBO_TRAIN, *map(str, arguments)], capture_output=True, text=True, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def quick_config(folder: Path, more: str = "") -> Path:
    """A configuration whose night takes a second: `repeat`, and what every version needs."""
    path = folder / "quick.toml"
    path.write_text(QUICK + more)
    return path


def quick_night(shop: Path, folder: Path) -> Path:
    """A store in this folder, with the champion of such a night. Copy it to change it."""
    ran = run("nightly", "--data", shop, "--store", folder / "store", "--config", quick_config(folder))
    assert ran.code == 0, ran.err
    return folder / "store"


def ranker_config(folder: Path, more: str = "") -> Path:
    """A configuration of the default night, with a ranker of few trees and windows."""
    path = folder / "ranker.toml"
    path.write_text(f"{more}[variants.ranker]\nn_folds = 3\n[variants.ranker.trees]\nn_trees = 5\n")
    return path


def champion(store: Path) -> Version:
    """The version that the store's champion points to, checked."""
    pointer = Store(store).champion()
    assert pointer is not None
    return Store(store).open(pointer.current.version_id)


def newest(store: Path) -> Manifest:
    """The manifest of the last night's version; nights of a test may fall on one second, as ids count."""
    manifests = [entry for entry in Store(store).manifests() if isinstance(entry, Manifest)]
    return max(manifests, key=lambda manifest: manifest.created_at)


def version_ids(store: Path) -> list[str]:
    return sorted(folder.name for folder in (store / "versions").glob("*"))


def ids(version: Version, name: str) -> list[str]:
    """All customers or products of a version, by row."""
    index = version.ids(name)
    return [index[row] for row in range(len(index))]
