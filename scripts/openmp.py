"""Lend libgomp.so.1 to implicit and LightGBM where the system has none, as on a Debian without a compiler.

Their wheels expect the system's. `make setup` runs this after each install: where the system has one,
nothing is done. Else the copy that scikit-learn carries gets its usual name back (the linker finds a
loaded library by that name), and a .pth file loads it whenever this environment's Python starts.
"""

import ctypes
import sysconfig
from pathlib import Path

NAME = "libgomp.so.1"


def main() -> None:
    """Lend the library to this environment, if the system has none."""
    try:
        ctypes.CDLL(NAME)
    except OSError:
        lend(Path(sysconfig.get_path("purelib")))


def lend(site: Path) -> Path:
    """Put a renamed copy of scikit-learn's libgomp into a site-packages folder and load it at every start.

    Raises:
        FileNotFoundError: scikit-learn carries none, as on another system than Linux.
    """
    carried = next((site / "scikit_learn.libs").glob("libgomp*.so*"), None)
    if carried is None:
        raise FileNotFoundError(
            f"no {NAME} on this system nor in scikit-learn: install it (Debian: libgomp1)"
        )
    own_name = carried.name.encode() + b"\0"
    lent = site / NAME
    lent.write_bytes(carried.read_bytes().replace(own_name, NAME.encode().ljust(len(own_name), b"\0")))
    (site / "nextbest_openmp.pth").write_text(f"import ctypes; ctypes.CDLL({str(lent)!r})\n")
    return lent


if __name__ == "__main__":
    main()
