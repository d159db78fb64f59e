"""What the judge refuses, in words for the person who asked."""

from models.errors import NextbestError


class BadSpecificationError(NextbestError):
    """A specification can't be run.

    Attributes:
        where: file and key.
        why: what is wrong, and what to do.
    """

    def __init__(self, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"{where}: {why}")


class UnknownExperimentError(NextbestError):
    """No such experiment in this record."""

    def __init__(self, experiment_id: str) -> None:
        self.experiment_id = experiment_id
        super().__init__(f"no experiment {experiment_id} in this record; `nbo-experiment list` shows them")


class ServiceError(NextbestError):
    """A running service doesn't do what is asked of it.

    Attributes:
        url: of the service.
        why: what happened.
    """

    def __init__(self, url: str, why: str) -> None:
        self.url, self.why = url, why
        super().__init__(f"{url}: {why}")
