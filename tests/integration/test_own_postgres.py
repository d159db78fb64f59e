"""The tests' Postgres ends, and its folder with it, when the process that began it is killed."""

import subprocess
import sys
from pathlib import Path

from tests.data.own_postgres import DATA
from tests.data.running_service import until

PARENT = """
import sys
from pathlib import Path
from tests.data.own_postgres import watched
watched(Path(sys.argv[1]))
print("watched", flush=True)
input()
"""


def test_the_server_of_a_killed_process_ends_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "nextbest-pg"
    (folder / DATA).mkdir(parents=True)
    words = [sys.executable, "-c", PARENT, folder]
    with (
        subprocess.Popen(["env", "--default-signal=QUIT", "sleep", "60"]) as server,  # a job's may be ignored
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent,
    ):
        (folder / DATA / "postmaster.pid").write_text(f"{server.pid}\n{folder / DATA}\n")
        assert parent.stdout
        assert parent.stdout.readline() == b"watched\n"
        assert server.poll() is None
        parent.kill()
        server.wait(20)
        until(lambda: not folder.exists(), 20)
