"""scripts/openmp.py: the lent library must be the one that a later request by its usual name gets."""

import runpy
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts/openmp.py"))


def test_a_lent_library_is_found_by_its_usual_name(tmp_path: Path) -> None:
    site = Path(sysconfig.get_path("purelib"))
    shutil.copytree(site / "scikit_learn.libs", tmp_path / "scikit_learn.libs")
    lent = SCRIPT["lend"](tmp_path)
    loading = (tmp_path / "nextbest_openmp.pth").read_text()
    code = f"{loading}\nctypes.CDLL('libgomp.so.1')\nprint(open('/proc/self/maps').read())"
    maps = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {line.split()[-1] for line in maps.splitlines() if "libgomp" in line} == {str(lent)}


def test_without_a_library_to_lend_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="libgomp1"):
        SCRIPT["lend"](tmp_path)
