"""The grader for when there is none: the person judges every criterion."""

from handbook.practice.evidence import Reading
from handbook.practice.opinions import Found, Opinion


class NoGrader:
    name = "none"
    languages: tuple[str, ...] = ()

    def warm(self) -> None:
        """There is nothing to load."""

    def judge(self, reading: Reading) -> Opinion:
        return Opinion(
            tuple(
                Found(each.id, "unclear", why="No grader is here; you judge.")
                for each in reading.question.criteria
            )
        )
