"""A search on disk: one SQLite file of Optuna's, held by one process, and of one question only."""

import fcntl
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from models.errors import BadConfigError

NAME = "nextbest"
QUESTION = "question"


@contextmanager
def open_study(path: Path, question: Mapping[str, Any]) -> Iterator[optuna.Study]:
    """The study of a file, made where there is none.

    Args:
        path: the file.
        question: what is searched for, as JSON; a study answers one question.
    Raises:
        BadConfigError: the file is no study, of another question, or held by another process.
    """
    where = f"--study {path}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as held:  # closed last: closing it sooner would end SQLite's own locks
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise BadConfigError(where, "another nbo-train tune is at work on it") from err
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            storage = RDBStorage(f"sqlite:///{path.absolute()}")
        except (SQLAlchemyError, RuntimeError) as err:
            raise BadConfigError(
                where, "is not a study that this version can read: name another file"
            ) from err
        try:
            with warnings.catch_warnings():  # of Optuna's own experiments
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study = optuna.create_study(
                    storage=storage, study_name=NAME, direction="maximize", load_if_exists=True
                )
                _check(study, json.loads(json.dumps(question)), where)
                yield study
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _check(study: optuna.Study, question: dict[str, Any], where: str) -> None:
    before = study.user_attrs.get(QUESTION)
    if before is None:
        study.set_user_attr(QUESTION, question)
    elif before != question:
        other = [name for name in question if before.get(name) != question[name]]
        raise BadConfigError(
            where, f"is of another {' and '.join(other)}: name another file, or remove this one"
        )
