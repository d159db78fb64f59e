"""A private folder is refused where anything else stands in its place, and its files don't grow old."""

import os
from pathlib import Path
from socket import AF_UNIX, socket

import pytest

from models.errors import NextbestError
from service.processes.private_folder import keep_young, make_private


def test_what_is_no_folder_is_refused_by_its_path(tmp_path: Path) -> None:
    file, link, lost = (tmp_path / name for name in ("file", "link", "lost"))
    file.touch(mode=0o600)
    link.symlink_to(tmp_path)
    lost.symlink_to(tmp_path / "nowhere")
    for there in (file, link, lost):
        with pytest.raises(NextbestError, match=f"{there} is not a private folder"):
            make_private(there)


def test_all_that_is_in_it_is_young_again(tmp_path: Path) -> None:
    (tmp_path / "counts").mkdir()
    paths = [tmp_path, tmp_path / "counts", tmp_path / "counts" / "one", tmp_path / "two"]
    for path in paths[2:]:
        path.touch()
    with socket(AF_UNIX) as listener:
        listener.bind(str(tmp_path / "redis.sock"))
    for path in (*paths, tmp_path / "redis.sock"):
        os.utime(path, (0, 0))
    keep_young(tmp_path)
    assert (tmp_path / "redis.sock").stat().st_mtime == 0  # by whose times Redis' keeper knows it
    assert all(path.stat().st_mtime > 0 < path.stat().st_atime for path in paths)
    keep_young(tmp_path / "nowhere")
