"""A private folder is refused where anything else stands in its place."""

from pathlib import Path

import pytest

from models.errors import NextbestError
from service.processes.private_folder import make_private


def test_what_is_no_folder_is_refused_by_its_path(tmp_path: Path) -> None:
    file, link, lost = (tmp_path / name for name in ("file", "link", "lost"))
    file.touch(mode=0o600)
    link.symlink_to(tmp_path)
    lost.symlink_to(tmp_path / "nowhere")
    for there in (file, link, lost):
        with pytest.raises(NextbestError, match=f"{there} is not a private folder"):
            make_private(there)
