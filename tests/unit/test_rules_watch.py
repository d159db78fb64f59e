"""A file of rules under a running service: saved, broken, gone, and for a worker that starts meanwhile."""

import os
import shutil
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.rules.book import RuleBook
from service.rules.kept import KeptRules
from service.rules.reading import NO_RULES, parse_rules
from service.rules.watch import RulesFileFollower

ONE = 'schema = 1\n[[rules]]\nid = "a"\nkind = "block"\nproducts = ["milk"]\n'
TWO = ONE.replace("milk", "bread")


class Desk:
    """A file, a book, and what follows the one for the other."""

    def __init__(self, folder: Path) -> None:
        self.file, self.kept = folder / "rules.toml", KeptRules(folder / "kept.json")
        self.book = RuleBook()
        self.follower = RulesFileFollower(self.file, self.book, self.kept, poll_s=1)
        self.saved = 0

    def save(self, text: str) -> None:
        self.file.write_text(text)
        self.saved += 1
        os.utime(self.file, ns=(self.saved, self.saved))
        self.follower.look()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_is_saved_counts(desk: Desk) -> None:
    desk.save(ONE)
    assert desk.book.rules.text == ONE
    desk.save(TWO)
    assert desk.book.rules.text == TWO


def test_a_broken_file_is_refused_once_by_its_mistakes_and_the_rules_before_go_on(desk: Desk) -> None:
    desk.save(ONE)
    with capture_logs() as lines:
        for _ in range(3):
            desk.save(ONE + "colour = 1\n")
    (line,) = lines
    assert line["event"] == "rules refused, those before go on"
    (mistake,) = line["mistakes"]
    assert mistake.startswith("line 2, rule a, rules.1.colour: there is no such key; block has id, ")
    assert desk.book.rules.text == ONE
    with capture_logs() as lines:
        desk.file.unlink()
        desk.follower.look()
    assert len(lines) == 1
    assert desk.book.rules.text == ONE
    desk.save(TWO)
    assert desk.book.rules.text == TWO


def test_a_worker_that_starts_while_the_file_is_broken_has_the_rules_before(
    desk: Desk, tmp_path: Path
) -> None:
    desk.save(ONE)
    desk.save("schema = ")
    other = Desk(tmp_path)
    other.follower.start()
    assert other.book.rules.text == ONE
    assert other.book.rules.version == desk.book.rules.version


def test_a_file_that_could_not_be_read_is_read_once_it_can_be(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, capture_logs() as lines:
        patch.setattr(Path, "read_bytes", _refuse)
        desk.save(ONE)
        desk.follower.look()
    assert len(lines) == 1  # said once, whatever comes after
    desk.follower.look()  # its rights were changed, and neither its time nor its size
    assert desk.book.rules.text == ONE


def _refuse(path: Path) -> bytes:
    raise PermissionError(13, "Permission denied", str(path))


def test_what_was_kept_and_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    for content in ("", "{", "[]", '{"version": "1", "text": "schema = 2"}', '{"text": ""}'):
        path.write_text(content)
        assert KeptRules(path).load() is None
    KeptRules(path).save(parse_rules(ONE, version="7"))
    loaded = KeptRules(path).load()
    assert loaded
    assert (loaded.version, loaded.text) == ("7", ONE)
    KeptRules(path / "no folder" / "kept.json").save(NO_RULES)  # only a line in the log


def test_what_is_kept_is_written_again_where_its_file_or_folder_was_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    kept = KeptRules(folder / "kept.json")
    kept.stay()
    assert not folder.exists()  # there is nothing to keep yet
    kept.save(parse_rules(ONE, version="7"))
    for clear in ((folder / "kept.json").unlink, partial(shutil.rmtree, folder)):
        clear()
        kept.stay()
        loaded = KeptRules(folder / "kept.json").load()
        assert loaded
        assert (loaded.version, loaded.text) == ("7", ONE)
    assert folder.stat().st_mode & 0o777 == 0o700
    KeptRules(folder / "kept.json").save(parse_rules(TWO, version="8"))
    kept.stay()  # what another worker kept since is newer
    loaded = KeptRules(folder / "kept.json").load()
    assert loaded
    assert loaded.version == "8"


def test_rules_that_a_worker_began_with_are_written_again_too(tmp_path: Path) -> None:
    """Where the file of rules is broken, or the record away, nobody saves any."""
    path = tmp_path / "kept.json"
    KeptRules(path).save(parse_rules(ONE, version="7"))
    began = KeptRules(path)
    assert began.load()
    path.unlink()
    began.stay()
    loaded = KeptRules(path).load()
    assert loaded
    assert (loaded.version, loaded.text) == ("7", ONE)
