"""What the judge refuses, in words for the person who asked."""

from models.errors import BadInputError, NextbestError


class BadSpecificationError(BadInputError):
    """A specification can't be run.

    Attributes:
        where: file and key.
        why: what is wrong, and what to do.
    """


class UnknownExperimentError(NextbestError):
    """No such experiment in this record."""

    def __init__(self, experiment_id: str, version: int | None = None) -> None:
        self.experiment_id, self.version = experiment_id, version
        which = experiment_id if version is None else f"{experiment_id}, version {version},"
        super().__init__(f"no experiment {which} in this record; `nbo-experiment list` shows them")


class NotToShipError(NextbestError):
    """A variant isn't shipped.

    Attributes:
        why: what speaks against it.
    """

    def __init__(self, experiment_id: str, why: str) -> None:
        self.experiment_id, self.why = experiment_id, why
        super().__init__(f"{experiment_id} isn't shipped: {why}")


class BadLogError(BadInputError):
    """A log of exposures or outcomes isn't what the judge reads."""


class UnderpoweredError(NextbestError):
    """The planned size can't show the effect that is said to matter.

    Attributes:
        needed_n: customers of all arms that would.
        visible: the smallest relative effect that the planned size shows.
    """

    def __init__(self, metric: str, planned_n: int, mde: float, needed_n: int, visible: float) -> None:
        self.metric, self.planned_n, self.mde = metric, planned_n, mde
        self.needed_n, self.visible = needed_n, visible
        super().__init__(
            f"planned_n = {planned_n:,} can't show {mde:.1%} on {metric}: that needs {needed_n:,} customers, "
            f"and {planned_n:,} show {visible:.1%} or more. Raise planned_n or mde, or say "
            "accept_underpowered = true"
        )


class TooFarError(NextbestError):
    """Logs of one policy can't tell the value of another."""

    def __init__(self, effective_n: float, n: int) -> None:
        self.effective_n, self.n = effective_n, n
        super().__init__(
            f"too little to go by: {n:,} customers are worth {effective_n:,.0f} of the other's, "
            "and 100 and 5 % are needed"
        )


class ServiceError(NextbestError):
    """A running service doesn't do what is asked of it.

    Attributes:
        url: of the service.
        why: what happened.
        status: of its answer; None where none came.
    """

    def __init__(self, url: str, why: str, status: int | None = None) -> None:
        self.url, self.why, self.status = url, why, status
        super().__init__(f"{url}: {why}")
