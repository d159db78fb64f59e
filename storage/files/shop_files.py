"""Files with customers' ids that were written for the shop: they are the shop's, and a receipt names them.

nextbest can't know where copies of them went, so it takes nobody out of them; it can say that there are some.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from storage.files.whole_lines import appending

FILE = "shop_files.jsonl"
KEPT_DAYS = 400


class ShopFile(NamedTuple):
    """A file that was written for the shop.

    Attributes:
        what: which command wrote it.
    """

    path: str
    what: str
    written_at: str


def note_shop_file(store: Path, path: Path, what: str, *, now: datetime) -> None:
    """Note a file before anybody can read it. It is durable when this returns.

    Raises:
        OSError: it can't be noted.
    """
    line = json.dumps(ShopFile(str(path.absolute()), what, now.astimezone(UTC).isoformat())._asdict())
    with appending(store / FILE) as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def shop_files(store: Path, *, now: datetime) -> list[ShopFile]:
    """The files of the last KEPT_DAYS, the latest note of each path, in the order of writing.

    A line that was cut off by a crash is passed over: the file behind it was never put in its place.
    """
    try:
        lines = (store / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    since = (now.astimezone(UTC) - timedelta(days=KEPT_DAYS)).isoformat()
    found: dict[str, ShopFile] = {}
    for line in lines:
        try:
            noted = ShopFile(**json.loads(line))
        except (ValueError, TypeError):
            continue
        if noted.written_at >= since:
            found.pop(noted.path, None)
            found[noted.path] = noted
    return list(found.values())
