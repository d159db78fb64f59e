"""What is wrong with a file of rules, mistake by mistake."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import NextbestError


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake.

    Attributes:
        rule: id of the rule; None for the file itself or a rule without one.
        line: where the rule begins, 1 for the first; None if that isn't known.
        path: of the value in the file, such as `rules.3.factor`.
        why: what is wrong, and what is allowed.
    """

    rule: str | None
    line: int | None
    path: str
    why: str

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line else []
        where += [f"rule {self.rule}"] if self.rule else []
        where += [self.path] if self.path else []
        return f"{', '.join(where) or 'file'}: {self.why}"


class BadRulesError(NextbestError):
    """A file of rules that can't be used; `mistakes` has all that is wrong with it."""

    def __init__(self, name: str, mistakes: Sequence[Mistake]) -> None:
        self.name, self.mistakes = name, tuple(mistakes)
        super().__init__("\n".join(f"{name}: {mistake}" for mistake in self.mistakes))
