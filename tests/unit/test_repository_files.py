"""What the files around the code promise: targets, locks, CI, and nothing of one machine in them."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_help_lists_every_target_that_people_call() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^ +make ([\w-]+) +\w", shown, re.MULTILINE) == phony[1].split()
    wanted = "help setup demo test test-faults soak audit lint fmt train serve bench bench-quality lock"
    assert {*wanted.split(), "image", "clean"} <= set(phony[1].split())


def test_ci_runs_what_a_desk_runs() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[-2:] == ["make test", "make audit"]
    assert os.access(ROOT / ".ci/run", os.X_OK)


@pytest.mark.parametrize("lock", ["runtime", "dev", "demo", "bench", "rectools"])
def test_every_locked_package_has_a_version_and_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    assert "//" not in text
    entries = re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if "#" not in line))
    assert all(re.match(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+", entry) for entry in entries)
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)


def test_the_locks_hold_what_pyproject_names() -> None:
    runtime, dev = _pins("runtime"), _pins("dev")
    named = {_name(requirement) for requirement in PROJECT["project"]["dependencies"]}
    named_for_dev = {_name(requirement) for requirement in PROJECT["project"]["optional-dependencies"]["dev"]}
    named_for_rectools = {_name(requirement) for requirement in PROJECT["dependency-groups"]["rectools"]}
    assert named <= set(runtime), "run make lock"
    assert named_for_dev <= set(dev), "run make lock"
    assert runtime.items() <= dev.items()
    assert named_for_rectools <= set(_pins("rectools")), "run make lock"
    assert [f"setuptools=={runtime['setuptools']}"] == PROJECT["build-system"]["requires"]


def test_each_of_our_package_names_has_exactly_one_owner() -> None:
    owners = importlib.metadata.packages_distributions()
    for include in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]:
        assert set(owners[include.rstrip("*")]) == {"nextbest"}


def test_no_tracked_file_names_a_registry_or_a_path_of_one_machine() -> None:
    hosts = ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com")
    of_one_machine = re.compile(r"(?<![\w.}])/(root|work|home|farm)/\w")
    for path in _tracked():
        text = path.read_text(errors="replace")
        assert not [host for host in hosts if host in text], path
        assert not of_one_machine.search(text), path


def test_the_licence_is_mit() -> None:
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")
    assert PROJECT["project"]["license"] == "MIT"


def _pins(lock: str) -> dict[str, str]:
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_rectools_gets_an_environment_of_its_own_that_only_the_benchmark_asks_for(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", *(f"requirements/{path.name}" for path in LOCKS)):
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy)

    def installed(target: str) -> list[tuple[str, str]]:
        command = ["make", "--dry-run", target]
        shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        return re.findall(r"(\S+)/bin/python -m pip .* --require-hashes .*-r (\S+)", shown)

    assert (".nextbest/bench/rectools-venv", "requirements/rectools.txt") in installed("bench-quality")
    for target in ("setup", "test", "demo", "bench"):
        assert {place for place, _ in installed(target)} == {".venv"}


def test_an_environment_that_make_did_not_make_is_left_alone(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements/runtime.txt", "pyproject.toml"):
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy)
    own = tmp_path / ".venv" / "mine"
    own.parent.mkdir()
    own.touch()
    assert subprocess.run(["make", "help"], cwd=tmp_path, check=False, capture_output=True).returncode == 0
    refused = subprocess.run(["make", "setup"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "make did not make this .venv" in refused.stderr
    assert own.exists()
    of_another_checkout = tmp_path / "elsewhere" / ".made"
    of_another_checkout.parent.mkdir()
    of_another_checkout.touch()
    subprocess.run(["make", f"VENV={of_another_checkout.parent}", "help"], cwd=tmp_path, check=False)
    assert of_another_checkout.exists()
