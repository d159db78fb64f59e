"""What the record refuses, and what is wrong with it."""

from models.errors import NextbestError

# Here, since settings are checked without loading the record.
ERASURE_KEY_BYTES = 16  # at least
USABLE_URL = "must be sqlite:///FILE or postgresql://HOST/DATABASE"


class RecordUnavailableError(NextbestError):
    """The record doesn't answer, or not soon enough. What was asked may have been done or not: ask again.

    Attributes:
        is_full: there is no room to write to.
    """

    def __init__(self, why: str, *, is_full: bool = False) -> None:
        self.why, self.is_full = why, is_full
        super().__init__(f"the record can't be used now: {why}")


class SchemaError(NextbestError):
    """The record's tables are not the ones that this release knows."""

    def __init__(self, record: str, why: str) -> None:
        self.record, self.why = record, why
        super().__init__(f"record {record}: {why}")


class BadRecordUrlError(NextbestError):
    """The record can't be where it is said to be. The text shows no password."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"record: {why}")


class ErasureKeyError(NextbestError):
    """The key that hides erased ids is missing, unusable, or not the one that this record was begun with."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"erasure key: {why}")


class BadTombstonesError(NextbestError):
    """A line of a file of erasures isn't one."""

    def __init__(self, line: int) -> None:
        self.line = line
        super().__init__(f"line {line} is no erasure as `nbo-serve record tombstones` writes them")


class NotEmptyError(NextbestError):
    """A record that was to be filled with another one's rows has rows of its own."""

    def __init__(self, record: str, table: str) -> None:
        self.record, self.table = record, table
        super().__init__(f"record {record}: only an empty one is copied to, and its table {table} has rows")


class NoBackupError(NextbestError):
    """A record can't be copied in this way."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"no backup: {why}")
