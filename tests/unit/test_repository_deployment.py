"""The container files and the crontab, tried as far as that goes without a Docker engine and a cron."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from service.cli import main as service_commands
from training.cli import commands

ROOT = Path(__file__).parents[2]
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
COPIED = [line.split() for line in re.findall(r"^COPY (?!--)(.*)$", DOCKERFILE, re.MULTILINE)]


def test_the_image_installs_by_the_makefiles_own_targets() -> None:
    steps = re.findall(r"^RUN (.*)$", DOCKERFILE, re.MULTILINE)
    assert [step for step in steps if not step.startswith("make ")] == [
        "apt-get update && apt-get install --yes --no-install-recommends make"
    ]
    targets = [step.split()[1] for step in steps if step.startswith("make ")]
    assert targets == ["setup"]


def test_both_stages_have_the_same_base_and_the_last_one_is_not_root() -> None:
    first, last = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert first == last
    user = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert len(user) == 1
    assert int(user[0]) > 0


def test_a_build_is_given_what_the_image_copies_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    given = {Path(line.removeprefix("!")) for line in lines if line.startswith("!")}
    copied = {Path(source) for *sources, _ in COPIED for source in sources}
    assert [path for path in copied if not any(path.is_relative_to(each) for each in given)] == []
    assert [each for each in given if not any(path.is_relative_to(each) for path in copied)] == []


def test_what_the_image_copies_is_enough_to_install(tmp_path: Path) -> None:
    for *sources, target in COPIED:
        for source in sources:
            place = tmp_path / target / ("" if source.endswith("/") else Path(source).name)
            copy = shutil.copytree if source.endswith("/") else shutil.copy
            place.parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / source, place)
    planned = subprocess.run(
        ["make", "--dry-run", "setup"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "scripts/openmp.py" in planned.stdout
    install = "-m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index"
    subprocess.run(
        [sys.executable, *install.split(), "--target", tmp_path / "site", tmp_path], check=True, timeout=60
    )
    installed = {path.relative_to(tmp_path / "site") for path in (tmp_path / "site").rglob("*")}
    for package in ("models", "storage", "training", "service", "experiments"):
        files = [path for path in (ROOT / package).rglob("*") if path.suffix in {".py", ".html"}]
        assert files
        assert {path.relative_to(ROOT) for path in files} <= installed


@pytest.mark.parametrize(
    ("arguments", "becomes"),
    [
        ([], "nbo-serve run --store /s --host 0.0.0.0 --port 8000"),
        (["serve", "--workers", "2"], "nbo-serve run --store /s --host 0.0.0.0 --port 8000 --workers 2"),
        (["nightly", "--data", "a b"], "nbo-train nightly --store /s --data a b"),
        (["rollback"], "nbo-train rollback --store /s"),
        (["evaluate", "--data", "d"], "nbo-train evaluate --data d"),
        (["report", "--data", "d"], "nbo-train report --data d"),
        (["tune", "--data", "d"], "nbo-train tune --data d"),
        (["keys", "create", "--name", "a b"], "nbo-serve keys create --name a b"),
        (["token-keys", "list"], "nbo-serve token-keys list"),
        (["batch", "--out", "l.csv"], "nbo-serve batch --out l.csv"),
        (["experiment", "list"], "nbo-experiment list"),
    ],
)
def test_the_first_argument_is_the_role(tmp_path: Path, arguments: list[str], becomes: str) -> None:
    for command in ("nbo-serve", "nbo-train", "nbo-experiment"):
        _fake(tmp_path / command, 'echo "$(basename "$0") $*"')
    ended = _entrypoint(tmp_path, *arguments)
    assert (ended.returncode, ended.stdout.strip()) == (0, becomes)


def test_an_unknown_role_is_refused_by_name(tmp_path: Path) -> None:
    ended = _entrypoint(tmp_path, "sevre")
    assert ended.returncode == 2
    assert "no role sevre: serve, nightly" in ended.stderr


def test_compose_publishes_the_service_on_loopback_and_nothing_else() -> None:
    services = _compose()["services"]
    assert {"service", "redis", "postgres", "nightly"} <= set(services)
    assert [name for name, service in services.items() if "ports" in service] == ["service"]
    assert all(port.startswith("127.0.0.1:") for port in services["service"]["ports"])


def test_compose_names_only_volumes_health_checks_and_services_that_are_there() -> None:
    compose = _compose()
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source.startswith(("$", ".")) or source in compose["volumes"], name
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in compose["services"][other]
    assert "HEALTHCHECK" in DOCKERFILE  # the service's own


def test_composes_roles_are_roles_of_the_image() -> None:
    entrypoint = (ROOT / "deploy/entrypoint.sh").read_text()
    for service in _compose()["services"].values():
        if service["image"] == "nextbest":
            assert re.search(rf"^ .*\b{service['command'][0]}\b.*\) exec", entrypoint, re.MULTILINE)


@pytest.mark.parametrize(("group", "command"), [(commands, "nightly"), (service_commands, "run")])
def test_deployment_files_give_commands_only_options_that_they_have(group: click.Group, command: str) -> None:
    found = group.get_command(click.Context(group), command)
    assert found is not None
    known = {option for parameter in found.params for option in parameter.opts}
    compose = [service["command"] for service in _compose()["services"].values() if "command" in service]
    lines = [" ".join(words) for words in compose if words[0] == {"run": "serve"}.get(command, command)]
    for file in ("Makefile", "deploy/crontab", "deploy/entrypoint.sh"):
        lines += re.findall(rf"nbo-\w+ {command} (.*)", (ROOT / file).read_text())
    used = {option for line in lines for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", line)}
    assert {"--store"} < used <= known


@pytest.mark.parametrize(("code", "logged"), [(0, ""), (4, "the night ended with exit code 4")])
def test_the_crontabs_line_runs_under_sh_and_reports_a_night_that_failed(
    tmp_path: Path, code: int, logged: str
) -> None:
    command = _cron_command()
    assert "%" not in command, "cron would end the command there"
    _fake(tmp_path / "nbo-train", f'echo "nbo-train $*"; exit {code}')
    _fake(tmp_path / "logger", 'for last; do :; done; echo "$last" > "$(dirname "$0")/logged"')
    for place in ("/opt/nextbest/.venv/bin", "/var/lib/nextbest", "/var/log/nextbest"):
        command = command.replace(place + "/", f"{tmp_path}/")
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", command], env={"PATH": path}, check=True)
    assert (tmp_path / "night.log").read_text().startswith("nbo-train nightly --data ")
    assert not logged or (tmp_path / "logged").read_text().strip() == logged
    assert (tmp_path / "logged").exists() == bool(logged)


def test_the_crontab_has_a_time_a_user_and_a_safe_path() -> None:
    text = (ROOT / "deploy/crontab").read_text()
    assert re.search(r"^PYTHONSAFEPATH=1$", text, re.MULTILINE)
    assert re.search(r"^\d+ \d+ \* \* \* +[a-z]+ +flock -n ", text, re.MULTILINE)


def _cron_command() -> str:
    lines = (ROOT / "deploy/crontab").read_text().splitlines()
    line = next(line for line in lines if line[:1].isdigit() and " nightly " in line)
    return line.split(maxsplit=6)[6]


def _compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return read


def _entrypoint(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": f"{path}:{os.environ['PATH']}", "NEXTBEST_STORE": "/s"}
    command = shlex.join(["sh", str(ROOT / "deploy/entrypoint.sh"), *arguments])
    return subprocess.run(command, shell=True, env=env, capture_output=True, text=True, check=False)  # noqa: S602


def _fake(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
