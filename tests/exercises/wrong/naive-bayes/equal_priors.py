# Fault: leaves out the prior.
# Rejected by: test_worked_example

import math
from collections import Counter, defaultdict

CLOSE = 1e-9  # log-posteriors that differ by less are equal


class NaiveBayes:
    def __init__(self, alpha: float = 1.0) -> None:
        if not alpha > 0:
            raise ValueError(f"Expected alpha above 0, got {alpha}.")
        self.alpha = alpha
        self.documents: Counter[str] = Counter()  # of each class
        self.tokens: defaultdict[str, Counter[str]] = defaultdict(Counter)  # class -> token -> occurrences
        self.known: set[str] = set()

    def partial_fit(self, documents: list[list[str]], labels: list[str]) -> None:
        if len(documents) != len(labels):
            raise ValueError(f"Expected as many labels as documents, {len(documents)}, got {len(labels)}.")
        self.documents.update(labels)
        for document, label in zip(documents, labels, strict=True):
            self.tokens[label].update(document)
            self.known.update(document)

    def log_posterior(self, document: list[str]) -> dict[str, float]:
        if not self.documents:
            raise RuntimeError("Nothing is learned yet.")
        occurrences = Counter(token for token in document if token in self.known)
        scores = {}
        for label in self.documents:
            seen = self.tokens[label]
            mass = seen.total() + self.alpha * len(self.known)
            scores[label] = math.fsum(
                times * math.log((seen[token] + self.alpha) / mass) for token, times in occurrences.items()
            )
        top = max(scores.values())
        norm = top + math.log(math.fsum(math.exp(score - top) for score in scores.values()))
        return {label: score - norm for label, score in scores.items()}

    def predict(self, document: list[str]) -> str:
        scores = self.log_posterior(document)
        best = max(scores.values())
        return min(label for label, score in scores.items() if score > best - CLOSE)
