"""The one family of errors that nextbest raises on purpose; each carries fields and builds its own text."""


class NextbestError(Exception):
    """Whatever nextbest refuses to do; the text is fit for the person who asked."""


class BadInputError(NextbestError):
    """Something that was given can't be used: `where` it stands, and `why` not."""

    def __init__(self, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"{where}: {why}")


class NotFittedError(NextbestError):
    """A model was asked before `fit`."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(f"{model} is not fitted: call fit() or from_state() first")


class TooLittleHistoryError(NextbestError):
    """There is nothing to learn from."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"too little history: {what}")


class DamagedVersionError(NextbestError):
    """A version's folder is not what was written."""

    def __init__(self, file: str, why: str) -> None:
        self.file, self.why = file, why
        super().__init__(f"refused {file}: {why}")


class UnknownVersionError(NextbestError):
    """No such version in this store."""

    def __init__(self, version_id: str) -> None:
        self.version_id = version_id
        super().__init__(f"no version {version_id} in this store")


class UnroutedVariantError(NextbestError):
    """A version has no candidate lists of a variant."""

    def __init__(self, version_id: str, variant: str, routed: list[str]) -> None:
        self.version_id, self.variant, self.routed = version_id, variant, routed
        there = ", ".join(routed) or "none"
        super().__init__(
            f"{version_id} has no lists of {variant!r}, only of: {there}; `routed` in [night] adds to them"
        )


class NoChampionError(NextbestError):
    """The store has no champion to serve, or none to go back to."""

    def __init__(self, store: str, what: str = "no champion yet: run a night first") -> None:
        self.store = store
        super().__init__(f"{store}: {what}")


class NightRunningError(NextbestError):
    """Another night holds the store."""

    def __init__(self, store: str, holder: str) -> None:
        self.store, self.holder = store, holder
        super().__init__(f"another night is at work on {store} ({holder}); this one did nothing")


class BadConfigError(BadInputError):
    """The configuration can't be used."""


class NoMemoryError(NextbestError):
    """A variant takes more memory than there is."""

    def __init__(self, where: str, why: str, raised: list[str]) -> None:
        self.where, self.why, self.raised = where, why, raised
        lower = f"lower {', '.join(raised)}, or " if raised else ""
        super().__init__(f"{where}: out of memory ({why or 'no more to be had'}): {lower}give it more memory")


class BadOptionError(BadConfigError):
    """An option of a model has a value that it can't have. Whose options they are, `registry.build` tells."""

    def __init__(self, option: str, why: str) -> None:
        self.option = option
        super().__init__(option, why)


class BadHistoryError(BadInputError):
    """A table, file or column of the history is missing or damaged, or too many of its rows are bad."""
