"""Sharing a server by numbers: fair turns between tenants, and what preemption computes twice."""

from handbook.engine.pages import Pages
from handbook.engine.work import Limits
from handbook.lab.serving.simulator import GPU, Story, simulate
from handbook.lab.serving.streams import Job, stream

FLOOD, FEW = "flood", "few"


def flooded(fair: bool) -> Story:
    """400 requests of one tenant at the start, then one of another every half second. Not fair: all are taken
    for the same tenant, in the order of arrival."""
    few = [job._replace(arrival=0.5 * n, tenant=FEW) for n, job in enumerate(stream(10, seed=12), start=1)]
    jobs = [job._replace(tenant=FLOOD) for job in stream(400, seed=11)]
    mixed = [*jobs, *few]
    asked = mixed if fair else [job._replace(tenant="") for job in mixed]
    limits = Limits(tokens=512, running=32, patience=0)
    return simulate(asked, limits, Pages(4096, 16, share=False), GPU)


def few_wait(story: Story) -> float:
    """Mean wait for the first token of the small tenant's requests, which come last in the story."""
    waits = story.firsts()[-10:]
    return sum(waits) / len(waits)


def fair_wait(small: bool = True) -> float:
    return few_wait(flooded(fair=True)) / few_wait(flooded(fair=False))


def crowded(pages: int, size: int = 16) -> Story:
    """48 requests of long answers at once in `pages` pages, which are computed again when they must make
    room."""
    jobs: list[Job] = [job._replace(output=4 * job.output) for job in stream(48, seed=13)]
    return simulate(jobs, Limits(tokens=512, running=48), Pages(pages, size, share=False), GPU)


def computed_again(story: Story) -> float:
    """Share of the computed tokens that had been computed before."""
    needed = sum(len(s.job.prompt) + s.job.output - 1 for s in story.served)
    return 1 - needed / story.counts.computed


def recomputed_share(small: bool = True) -> float:
    """In half of the pages that the stream would fill without ever waiting."""
    return computed_again(crowded(most_held() // 2))


def most_held() -> int:
    """Pages that `crowded` holds at its fullest when there are enough."""
    return max(moment.held for moment in crowded(1 << 14).moments)
