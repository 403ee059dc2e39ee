"""Hidden tests: the definition by fractions, scikit-learn, long documents, ties, repeated tokens, size."""

import math
import random
from fractions import Fraction

from handbook.practice.checks import close, equal, raises, unchanged

WORDS = ["refund", "late", "crash", "login", "invoice", "slow"]


def tickets(seed, count=12, classes=3):
    rng = random.Random(seed)
    documents = [[rng.choice(WORDS) for _ in range(rng.randint(0, 6))] for _ in range(count)]
    return documents, [f"team-{rng.randrange(classes)}" for _ in range(count)]


def by_definition(documents, labels, alpha, asked):
    known = {token for document in documents for token in document}
    joint = {}
    for label in set(labels):
        mine = [t for document, its in zip(documents, labels, strict=True) if its == label for t in document]
        p = Fraction(labels.count(label), len(labels))
        for token in asked:
            if token in known:
                p *= Fraction(mine.count(token) + alpha) / (len(mine) + alpha * len(known))
        joint[label] = p
    return {label: math.log(p / sum(joint.values())) for label, p in joint.items()}


def test_definition_by_fractions(submission):
    """Exact posteriors of small corpora, for alphas of 1, 1/4 and 3, with unknown and repeated tokens."""
    for seed in range(12):
        documents, labels = tickets(seed)
        asked = random.Random(seed).choices([*WORDS, "unknown"], k=5)
        for alpha in (1, Fraction(1, 4), 3):
            model = submission.NaiveBayes(float(alpha))
            model.partial_fit(documents, labels)
            expected = by_definition(documents, labels, alpha, asked)
            close(model.log_posterior(asked), expected, f"corpus {seed}, alpha {alpha}", rtol=1e-9)


SKLEARN = [
    [-1.433289392809888, -2.316309719927749, -0.41122156539269117],
    [-2.8494605400939177, -2.7108296196797967, -0.1327969919023122],
    [-2.211871937402768, -3.09489226452063, -0.1681528624535895],
    [-1.5754561372340836, -0.2612518870157263, -3.772264134685088],
    [-0.7754513083138894, -0.9230220751811169, -1.9506080582329117],
    [-1.796811237998548, -0.9852358443420011, -0.7747434105813502],
]


def test_scikit_learn_agrees(submission):
    """scikit-learn 1.9.1, MultinomialNB(alpha=0.5) on the counts of tickets(3), predict_log_proba."""
    documents, labels = tickets(3)
    model = submission.NaiveBayes(0.5)
    model.partial_fit(documents, labels)
    for word, expected in zip(WORDS, SKLEARN, strict=True):
        got = model.log_posterior([word, word, "late"])
        got = [got[label] for label in sorted(got)]
        close(got, expected, f"log-posteriors of {word} twice and late", rtol=1e-9, peer="scikit-learn 1.9.1")


def test_long_documents(submission):
    """20,000 tokens: likelihoods of 1e-8000 and smaller must not become 0."""
    model = submission.NaiveBayes()
    model.partial_fit([["a"] * 6 + ["b"] * 4, ["a"] * 4 + ["b"] * 6], ["x", "y"])
    got = model.log_posterior(["a", "b"] * 10_000)
    close(got, {"x": math.log(0.5), "y": math.log(0.5)}, "as many a as b", atol=1e-6)
    got = model.log_posterior(["a", "b"] * 10_000 + ["a"] * 5000)
    close(got["y"], 5000 * math.log(5 / 7), "log-posterior of the less likely class", rtol=1e-9)
    close(got["x"], 0.0, "log-posterior of the likely class", atol=1e-9)


def test_ties_go_to_the_first_name(submission):
    """Classes with the same counts, learned in the other order; rounding must not decide."""
    model = submission.NaiveBayes()
    model.partial_fit([["u", "v", "w"], ["w", "v", "u"]], ["zebra", "ant"])
    equal(model.predict(["u", "w", "v"]), "ant", "two classes with the same counts")
    equal(model.predict([]), "ant", "two classes with the same prior")
    model.partial_fit([["u"] * 3, ["w"] * 3], ["zebra", "ant"])
    equal(model.predict(["u"]), "zebra", "a word that zebra has more often")


def test_empty_documents_count(submission):
    """A document without tokens moves the prior; a class may have none but those."""
    model = submission.NaiveBayes()
    model.partial_fit([["a"], [], []], ["x", "y", "y"])
    expected = {"x": math.log(Fraction(1, 3)), "y": math.log(Fraction(2, 3))}
    close(model.log_posterior([]), expected, "prior with empty documents")
    got = model.log_posterior(["a"])  # one known token: both classes give it all their mass
    close(got, expected, "the only known token")


def test_vocabulary_is_of_all_classes(submission):
    """A token that only one class has takes smoothing mass from the others too."""
    model = submission.NaiveBayes()
    model.partial_fit([["a", "a"], ["b", "c", "d"]], ["x", "y"])
    x, y = Fraction(2 + 1, 2 + 4), Fraction(0 + 1, 3 + 4)
    expected = {"x": math.log(x / (x + y)), "y": math.log(y / (x + y))}
    close(model.log_posterior(["a"]), expected, "log-posterior of a, four different tokens in all")


def test_refused_call_learns_nothing(submission):
    """After a call with lengths that differ the model is as it was, and arguments are never changed."""
    documents, labels = tickets(5)
    model = submission.NaiveBayes()
    model.partial_fit(documents, labels)
    unchanged(documents, tickets(5)[0], "documents")
    unchanged(labels, tickets(5)[1], "labels")
    before = model.log_posterior(["late", "slow"])
    raises(ValueError, model.partial_fit, [["late"] * 50, ["new"]], ["team-0"], what="2 documents, 1 label")
    equal(model.log_posterior(["late", "slow"]), before, "log-posterior after a refused call")
    model.log_posterior(["never", "seen"])
    equal(model.log_posterior(["late", "slow"]), before, "log-posterior after asking for unknown tokens")


def test_two_models_share_nothing(submission):
    """Counts belong to an instance, not to the class."""
    first, second = submission.NaiveBayes(), submission.NaiveBayes()
    first.partial_fit([["a"]], ["x"])
    raises(RuntimeError, second.predict, ["a"], what="a second model that has learned nothing")


def test_many_documents(submission):
    """3,000 documents of 20 tokens over 500 words; topics are found again."""
    rng = random.Random(6)
    documents, labels = [], []
    for n in range(3000):
        topic = n % 5
        documents.append(
            [
                f"w{rng.randrange(100) + 100 * (topic if rng.random() < 0.5 else rng.randrange(5))}"
                for _ in range(20)
            ]
        )
        labels.append(f"topic-{topic}")
    model = submission.NaiveBayes()
    model.partial_fit(documents, labels)
    right = sum(model.predict(documents[n]) == labels[n] for n in range(200))
    assert right >= 190, f"topics of 200 documents: expected at least 190 right, got {right}"
