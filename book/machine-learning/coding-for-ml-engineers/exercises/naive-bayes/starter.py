"""Multinomial naive Bayes with Laplace smoothing, learned in parts."""


class NaiveBayes:
    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def partial_fit(self, documents: list[list[str]], labels: list[str]) -> None:
        raise NotImplementedError("count documents and tokens of each class")

    def log_posterior(self, document: list[str]) -> dict[str, float]:
        raise NotImplementedError("sum of logarithms, then normalise")

    def predict(self, document: list[str]) -> str:
        raise NotImplementedError("the best class; ties by name")
