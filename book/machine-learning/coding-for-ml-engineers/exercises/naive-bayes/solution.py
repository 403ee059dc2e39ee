"""Multinomial naive Bayes with Laplace smoothing, learned in parts (Manning et al. 2008, ch. 13)."""

import math
from collections import Counter, defaultdict

CLOSE = 1e-9  # log-posteriors that differ by less are equal


class NaiveBayes:
    """Counts of documents and tokens for each class. Memory O(different tokens of each class)."""

    def __init__(self, alpha: float = 1.0) -> None:
        """Raises ValueError when alpha is not above 0."""
        if not alpha > 0:
            raise ValueError(f"Expected alpha above 0, got {alpha}.")
        self.alpha = alpha
        self.documents: Counter[str] = Counter()  # of each class
        self.tokens: defaultdict[str, Counter[str]] = defaultdict(Counter)  # class -> token -> occurrences
        self.known: set[str] = set()

    def partial_fit(self, documents: list[list[str]], labels: list[str]) -> None:
        """Adds to the counts. Raises ValueError when lengths differ, before anything is counted."""
        if len(documents) != len(labels):
            raise ValueError(f"Expected as many labels as documents, {len(documents)}, got {len(labels)}.")
        self.documents.update(labels)
        for document, label in zip(documents, labels, strict=True):
            self.tokens[label].update(document)
            self.known.update(document)

    def log_posterior(self, document: list[str]) -> dict[str, float]:
        """Time O(tokens * classes). Raises RuntimeError before anything is learned."""
        if not self.documents:
            raise RuntimeError("Nothing is learned yet.")
        occurrences = Counter(token for token in document if token in self.known)
        everything = self.documents.total()
        scores = {}
        for label, count in self.documents.items():
            seen = self.tokens[label]
            mass = seen.total() + self.alpha * len(self.known)
            scores[label] = math.log(count / everything) + math.fsum(
                times * math.log((seen[token] + self.alpha) / mass) for token, times in occurrences.items()
            )
        top = max(scores.values())
        norm = top + math.log(math.fsum(math.exp(score - top) for score in scores.values()))
        return {label: score - norm for label, score in scores.items()}

    def predict(self, document: list[str]) -> str:
        """Raises RuntimeError before anything is learned."""
        scores = self.log_posterior(document)
        best = max(scores.values())
        return min(label for label, score in scores.items() if score > best - CLOSE)
