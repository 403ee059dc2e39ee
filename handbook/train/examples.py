"""From a conversation to what a model is trained on: token ids, and which of them it is to produce."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One document. counted[i]: whether tokens[i] is one that the model is trained to produce.

    The first token has nothing before it to be produced from, so it never is one, whatever counted says.
    Raises ValueError for no token, or lengths that differ.
    """

    tokens: tuple[int, ...]
    counted: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not self.tokens or len(self.tokens) != len(self.counted):
            raise ValueError(
                f"an example has tokens and as many marks, got {len(self.tokens)} and {len(self.counted)}"
            )

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def weight(self) -> int:
        """Tokens that count: what a mean over tokens is divided by."""
        return sum(self.counted[1:])
