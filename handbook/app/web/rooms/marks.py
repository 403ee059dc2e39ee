"""What of a chapter is read: counted from the sections, never stored twice."""

from collections.abc import Mapping
from dataclasses import dataclass

from handbook.book.nouns import Chapter, Section


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a chapter is read."""

    chapter: Chapter
    read: frozenset[str]

    @property
    def total(self) -> int:
        return len(self.chapter.sections)

    @property
    def count(self) -> int:
        return sum(section.id in self.read for section in self.chapter.sections)

    @property
    def done(self) -> bool:
        return self.total > 0 and self.count == self.total

    @property
    def next(self) -> Section | None:
        """The first section that isn't read."""
        return next((section for section in self.chapter.sections if section.id not in self.read), None)


def mark(chapter: Chapter, read: Mapping[str, set[str]]) -> Mark:
    return Mark(chapter, frozenset(read.get(chapter.slug, ())))
