"""Looks for known holes in the locked packages, for dangerous code of ours, and for secrets in tracked files.

Only the first asks a service on the network; where that isn't reached it says so, and the other two decide.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PACKAGES = ("models", "training", "service", "storage", "experiments", "scripts")
NETWORK_S = 180


def main() -> None:
    """Exit code 1 if anything was found."""
    found = [check() for check in (holes_in_packages, dangerous_code, secrets_in_files)]
    sys.exit(any(found))


def holes_in_packages() -> bool:
    """Known vulnerabilities of what requirements/runtime.txt locks."""
    words = ["-r", "requirements/runtime.txt", "--disable-pip", "--require-hashes"]
    words += ["--progress-spinner", "off", "--format", "json"]
    try:
        done = _run("pip-audit", *words, limit_s=NETWORK_S)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        _say("packages", "NOT CHECKED: the service that knows of holes can't be reached from here")
        return False
    holes = [(it["name"], it["version"], hole["id"]) for it in packages for hole in it.get("vulns", ())]
    skipped = [it["name"] for it in packages if "skip_reason" in it]
    for name, version, hole in holes:
        _say("packages", f"{name} {version}: {hole}")
    if skipped:
        _say("packages", f"NOT CHECKED: no answer about {len(skipped)} of {len(packages)}")
    else:
        _say("packages", f"{len(packages)} packages, {len(holes)} known holes")
    return bool(holes)


def dangerous_code() -> bool:
    """What bandit finds of medium or high severity. Lines that are meant so carry `nosec` and a reason."""
    done = _run("bandit", "-q", "-ll", "-r", *PACKAGES)
    _say("code", done.stdout.strip() if done.returncode else "nothing of medium or high severity")
    return done.returncode != 0


def secrets_in_files() -> bool:
    """What looks like a key or a password. Lock files are full of hashes, and are left out."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607
    files = [name for name in listed.split() if not name.startswith("requirements/")]
    results = json.loads(_run("detect-secrets", "scan", *files).stdout)["results"]
    for file, places in results.items():
        for place in places:
            _say("secrets", f"{file}:{place['line_number']}: {place['type']}")
    if not results:
        _say("secrets", f"none in {len(files)} files")
    return bool(results)


def _run(tool: str, *words: str, limit_s: float | None = None) -> "subprocess.CompletedProcess[str]":
    command = [str(BIN / tool), *words]
    return subprocess.run(  # noqa: S603  # our own words, no shell
        command, cwd=ROOT, capture_output=True, text=True, timeout=limit_s, check=False
    )


def _say(what: str, text: str) -> None:
    print(f"audit: {what}: {text}", flush=True)


if __name__ == "__main__":
    main()
