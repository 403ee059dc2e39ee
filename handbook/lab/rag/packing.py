"""Stage 8: late interaction, what fits into a budget, and where in the context a passage stands."""

from functools import cache

import numpy as np

from handbook.lab import kit
from handbook.lab.rag.embedding import lengths
from handbook.lab.rag.retrieval import candidates, fused
from handbook.lab.rag.subjects import SMALL, Subject, embedder, subject
from handbook.rag.late_interaction import LateInteraction
from handbook.rag.nouns import Found, Row

BUDGET = 1000  # tokens of a context
POOL = 20  # candidates that are packed
FACTS, ASKED = 20, 12  # sentences of a context, facts that are asked for


def pool_recall(small: bool = True) -> float:
    """Recall among the first 50 of both fused: what no reranker can exceed."""
    found = subject("scifact", small)
    return found.mean(fused(found), "R@50")


def hybrid_recall(small: bool = True) -> float:
    """Recall among the first 100."""
    found = subject("scifact", small)
    return found.mean(fused(found), "R@100")


def _row(found: Subject, id: str, small: bool) -> Row:
    text = found.golden.documents[id]
    cut = text.text[: SMALL["scifact"].characters] if small else text.text
    return Row(id, id, cut, 0, len(cut), text.title)


@cache
def _interacting(small: bool) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The best few of both fused, as they are and by MaxSim, for some questions."""
    found = subject("scifact", small)
    questions, pool = (12, 6) if small else (100, 10)
    plain, moved = {}, {}
    with kit.quiet():
        order = LateInteraction(embedder())
        for query in list(found.golden.queries)[:questions]:
            best = candidates(found, query)[:pool]
            hits = [Found(_row(found, id, small), score) for id, score in best]
            plain[query] = [id for id, _ in best]
            moved[query] = [hit.row.id for hit in order(found.golden.queries[query], hits)]
    return plain, moved


def maxsim_gain(small: bool = True) -> list[float]:
    """By the token vectors of an encoder that was not trained for it, over the fused order."""
    from handbook.rag.evaluate import difference, scores

    plain, moved = _interacting(small)
    judged = {query: subject("scifact", small).golden.judged[query] for query in plain}
    one, other = (scores("", run, judged, ["nDCG@10"]).values["nDCG@10"] for run in (moved, plain))
    found = difference(one, other)
    return [found.low, found.mean, found.high]


def budget_recall(small: bool = True) -> float:
    """Of the relevant documents among the 20 best, the share that is in the context when documents go in as
    they rank until the next one does not fit."""
    found = subject("scifact", small)
    tokens = dict(zip(found.ids, lengths(found), strict=True))
    packed = {}
    for query in found.golden.queries:
        room, taken = BUDGET, []
        for id, _ in candidates(found, query)[:POOL]:
            room -= tokens[id]
            if room < 0:
                break
            taken.append(id)
        packed[query] = taken
    everything = {query: [id for id, _ in candidates(found, query)[:POOL]] for query in found.golden.queries}
    return found.mean(packed, "R@20") / found.mean(everything, "R@20")


@cache
def nats(place: float, small: bool = True) -> float:
    """What the right answer costs SmolLM2-135M, in nats a token, with its sentence so far into a context of
    twenty (0 first, 1 last; small: of eight). Mean over facts that no model can know."""
    import torch

    from handbook.lab.tuning.facts import facts, prompt

    loaded = kit.chat_model()
    known = facts(24)
    costs = []
    with kit.quiet():
        for fact in known[:1] if small else known[:: len(known) // ASKED]:
            others = [one.sentence for one in known if one is not fact][: (8 if small else FACTS) - 1]
            others.insert(round(place * len(others)), fact.sentence)
            asked = prompt(loaded, "\n".join(others) + f"\n\n{fact.asked}")
            answer = loaded.tokenizer.encode(fact.sentence)
            logits = loaded.model(torch.tensor([asked + answer]))[0]
            logprobs = logits[len(asked) - 1 : -1].log_softmax(dim=-1)
            costs.append(-logprobs[range(len(answer)), answer].mean().item())
    return float(np.mean(costs))


def middle_nats(small: bool = True) -> float:
    """In the middle over the better end."""
    return nats(0.5, small) - min(nats(0.0, small), nats(1.0, small))


def first_nats(small: bool = True) -> float:
    """At the beginning over the end."""
    return nats(0.0, small) - nats(1.0, small)
