"""A long storm on the real server: thousands of requests, hang-ups and rubbish, in memory that is too small.

`handbook serve` runs in a process of its own, with so few pages that it preempts all the time. A pool of
requests (texts, schemas, tools, embeddings) is answered one by one first; in the storm each answer must equal
the one it got alone. The storm begins with a crowd of long answers at the same moment: more than the memory
holds, however fast the machine is. Schemas that nobody sent before take one value only, and that must come.
Then nothing may be left: no page held, nobody waiting, resident memory flat.

    handbook bench soak [--requests 10000] [--at-once 48] [--model NAME] [--precision auto] [--memory 12MiB]
                        [--running 24] [--seed 1] [--kill] [--json]

--kill: afterwards kill -9 the server in mid-storm, start it again, and see that it answers as before.
Exits with 1 when something is wrong. --json: requests, by what was done (ended), and of those that were to
be answered by what was asked; wrong: the first answers that differ, of wrongs in all; figures: the server's
own at the end; resident memory by tenth of the storm, and at rest after each quarter.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from time import perf_counter
from typing import Any

from _asked import CHAT, TEXT, VECTORS, Asked, Kinds, in_pieces, is_value, pool, rubbish, said, unheard

PARTS = 4  # of the storm; between them the server rests
REST = 3.0  # seconds; a server without work hands memory back after one
GROWTH = 0.05  # of resident memory at rest, from the second part's end to the last's, at most
SETTLED = 1000  # requests from which on it is told: models load and grammars are kept before
KINDS = {
    "answer": 58, "stream": 14, "hang up in a stream": 10, "hang up at once": 6, "unheard schema": 3,
    "bad schema": 2, "heavy form": 1, "not JSON": 2, "wrong fields": 2, "half a body": 1, "too large": 1,
}  # fmt: skip


@dataclass
class Storm:
    """What happened so far."""

    ended: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    rested: list[int] = field(default_factory=list)
    retried: int = 0


class Server:
    """`handbook serve` in a process of its own."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        command = [sys.executable, "-m", "handbook", "serve", "--port", "0", "--queue", "32", "--page", "8"]
        for option in ("model", "precision", "memory", "running"):
            command += [f"--{option}", str(getattr(arguments, option))]
        self.log = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self.said = ""
        while "Ctrl-C" not in self.said:
            line = self.process.stdout.readline()
            if not line:
                self.log.seek(0)
                told = self.log.read().decode(errors="replace")
                self.close()
                raise SystemExit(f"the server did not start: {told}")
            self.said += line
        found = re.search(r"Serving (\S+) at (http://\S+)/v1", self.said)
        assert found is not None
        self.model, self.url = found[1], found[2]

    @property
    def resident(self) -> int:
        import psutil

        return int(psutil.Process(self.process.pid).memory_info().rss)

    def end(self) -> int:
        """Ask it to stop; -> its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.close()

    def close(self) -> None:
        self.process.kill()
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.process.communicate()
        self.log.close()


@asynccontextmanager
async def client(server: Server) -> AsyncIterator[Any]:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as http:
        yield http


async def kinds(server: Server, http: Any) -> Kinds:
    """What it can be asked."""
    names = [card["id"] for card in (await http.get("/v1/models")).json()["data"]]
    turn = {"model": server.model, "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    chats = (await http.post(CHAT, json=turn)).status_code == 200
    return Kinds(server.model, names[1] if len(names) > 1 else None, chats)


async def whole(http: Any, asked: Asked) -> list[str] | int:
    """What the answer says; its status where it is none."""
    reply = await http.post(asked.path, content=asked.raw)
    return said(reply.json()) if reply.status_code == 200 else int(reply.status_code)


async def streamed(http: Any, asked: Asked, stop_after: int | None = None) -> list[str] | int:
    """Likewise from a stream; [] when hung up after so many events."""
    chunks: list[dict[str, Any]] = []
    async with http.stream("POST", asked.path, json={**asked.body, "stream": True}) as reply:
        if reply.status_code != 200:
            return int(reply.status_code)
        async for line in reply.aiter_lines():
            if line.startswith("data: {"):
                chunks.append(json.loads(line[6:]))
                if stop_after is not None and len(chunks) > stop_after:
                    return []
    return in_pieces(chunks)


async def hang_up(server: Server, asked: Asked, wait: float, share: float = 1.0) -> None:
    """A client that leaves: after a part of its body, or before the answer."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    body = asked.raw
    head = f"POST {asked.path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[: int(len(body) * share)])
    with suppress(ConnectionError):
        await writer.drain()
        await asyncio.sleep(wait)
    writer.transport.abort()


async def one(
    server: Server,
    http: Any,
    storm: Storm,
    rng: random.Random,
    asking: Kinds,
    bodies: list[Asked],
    alone: list[Any],
) -> None:
    """A request of the storm, in one of its ways."""
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    number = rng.randrange(len(bodies))
    asked, expected = bodies[number], alone[number]
    storm.ended[kind] += 1
    if kind in ("hang up at once", "half a body"):
        share = 1.0 if kind == "hang up at once" else rng.random()
        await hang_up(server, asked, rng.uniform(0, 0.2), share)
        return
    if kind in ("not JSON", "wrong fields", "bad schema", "heavy form", "too large"):
        path, content, statuses = rubbish(kind, asked, asking, rng)
        reply = await http.post(path, content=content)
        if reply.status_code not in statuses or (reply.status_code != 200 and "error" not in reply.json()):
            start = content[:300].decode(errors="replace")
            storm.wrong.append({"kind": kind, "status": reply.status_code, "body": start})
        return
    value = None
    if kind == "unheard schema":
        asked, value = unheard(rng, asking)
    storm.asked[asked.path] += 1
    stops = rng.randrange(4) if kind == "hang up in a stream" else None
    streams = kind in ("stream", "hang up in a stream") and asked.path != VECTORS
    while (got := await (streamed(http, asked, stops) if streams else whole(http, asked))) == 429:
        storm.retried += 1
        await asyncio.sleep(rng.uniform(0.05, 0.5))
    if streams and stops is not None:
        if not isinstance(got, list):
            storm.wrong.append({"kind": kind, "status": got})
    elif got != expected if value is None else not is_value(got, value):
        expected = expected if value is None else value
        storm.wrong.append({"kind": kind, "asked": asked, "expected": expected, "got": got})


async def figures(http: Any) -> dict[str, float]:
    """The server's own metrics by name, without labels."""
    page = (await http.get("/metrics")).text
    return {found[1]: float(found[2]) for found in re.finditer(r"^handbook_(\w+) (\S+)$", page, re.MULTILINE)}


async def crowd(server: Server, http: Any, storm: Storm, size: int) -> None:
    """As many long answers at the same moment as may run; each must equal the one it gets alone."""
    drawn = {"model": server.model, "max_tokens": 200, "temperature": 0}
    asks = [Asked(TEXT, {**drawn, "prompt": f"{number} cats"}) for number in range(size)]
    alone = [await whole(http, asked) for asked in asks]
    together = await asyncio.gather(*(whole(http, asked) for asked in asks))
    for asked, expected, got in zip(asks, alone, together, strict=True):
        if got != expected:
            storm.wrong.append({"kind": "crowd", "asked": asked, "expected": expected, "got": got})


async def blow(
    server: Server, arguments: argparse.Namespace, storm: Storm, alone: list[Any]
) -> dict[str, Any]:
    """The whole storm, then what is left of it."""
    async with client(server) as http:
        asking = await kinds(server, http)
        bodies = pool(random.Random(arguments.seed), asking)
        alone += [await whole(http, asked) for asked in bodies]
        if refused := [asked for asked, got in zip(bodies, alone, strict=True) if isinstance(got, int)]:
            raise SystemExit(f"the server refuses some of its own pool: {refused[0]}")
        await crowd(server, http, storm, arguments.running)
        todo, done = iter(range(arguments.requests)), 0
        tenth = max(1, arguments.requests // 10)

        async def worker(seed: int, todo: Iterator[int]) -> None:
            nonlocal done
            mine = random.Random(seed)
            for _ in todo:
                await one(server, http, storm, mine, asking, bodies, alone)
                done += 1
                if done % tenth == 0:
                    storm.resident.append(server.resident)
                    if sys.stderr.isatty():
                        print(
                            f"{done:,} of {arguments.requests:,}, {len(storm.wrong)} wrong", file=sys.stderr
                        )

        async def rest() -> dict[str, float]:
            """The server's figures once nobody is there any more and it had time to hand memory back."""
            for _ in range(100):
                left = await figures(http)
                if not left["running"] and not left["queue"] and not left["cache_use"]:
                    break
                await asyncio.sleep(0.1)
            await asyncio.sleep(REST)
            storm.rested.append(server.resident)
            return left

        begin = perf_counter()
        for part in range(PARTS):
            some = islice(todo, arguments.requests // PARTS + (part < arguments.requests % PARTS))
            workers = (arguments.at_once * part + n for n in range(arguments.at_once))
            await asyncio.gather(*(worker(arguments.seed * 1000 + n, some) for n in workers))
            left = await rest()
        seconds = perf_counter() - begin - PARTS * REST
        health = (await http.get("/health")).status_code
    return {"seconds": seconds, "health": health, "figures": left}


async def killed(server: Server, arguments: argparse.Namespace, alone: list[Any]) -> dict[str, Any]:
    """kill -9 in mid-storm, start again: the same answers as before."""
    async with client(server) as http:
        bodies = pool(random.Random(arguments.seed), await kinds(server, http))
        flying = [asyncio.create_task(whole(http, asked)) for asked in bodies]
        await asyncio.sleep(0.5)
        server.process.kill()
        lost = sum(
            isinstance(one, Exception) for one in await asyncio.gather(*flying, return_exceptions=True)
        )
    server.close()
    again = Server(arguments)
    try:
        async with client(again) as http:
            same = [await whole(http, asked) for asked in bodies[:30]]
    finally:
        status = again.end()
    return {"in_flight_lost": lost, "same_after_restart": same == alone[:30], "exit": status}


def faults(result: dict[str, Any]) -> list[str]:
    """What is wrong; nothing, if all is well."""
    left, (_, early, *_, late) = result["figures"], result["rested"]
    found = (
        [f"{result['wrongs']:,} wrong answers, the first: {result['wrong'][0]}"] if result["wrong"] else []
    )
    found += [
        f"{name} is {left[name]} at the end" for name in ("running", "queue", "cache_use") if left[name]
    ]
    if result["health"] != 200:
        found.append(f"the server's health is {result['health']}")
    if not left["preemptions_total"]:
        found.append("nothing was preempted: give it less memory")
    if result["requests"] >= SETTLED and late > early * (1 + GROWTH):
        found.append(f"resident memory at rest went from {early:,} to {late:,} bytes")
    if result["exit"]:
        found.append(f"the server ended with {result['exit']}")
    if not result.get("kill", {}).get("same_after_restart", True):
        found.append("after kill -9 and a restart the answers differ")
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    from handbook.hardware.probe import probe

    storm, alone = Storm(), list[Any]()
    server = Server(arguments)
    try:
        after = asyncio.run(blow(server, arguments, storm, alone))
        kill = {"kill": asyncio.run(killed(server, arguments, alone))} if arguments.kill else {}
        status = kill["kill"]["exit"] if arguments.kill else server.end()
    finally:
        server.close()
    return {
        "requests": sum(storm.ended.values()),
        "ended": dict(storm.ended),
        "asked": dict(storm.asked),
        "retried": storm.retried,
        "wrongs": len(storm.wrong),
        "wrong": storm.wrong[:20],
        "resident": storm.resident,
        "rested": storm.rested,
        **after,
        **kill,
        "exit": status,
        "picked": next(line.strip() for line in server.said.splitlines() if "computes" in line),
        "machine": probe().label,
        "date": date.today().isoformat(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=48, help="clients")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--memory", default="12MiB", help="of the cache: little, so that it preempts")
    parser.add_argument("--running", type=int, default=24, help="texts at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kill", action="store_true", help="kill -9 and restart afterwards")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    result = measure(arguments)
    found = faults(result)
    if arguments.json:
        print(json.dumps({**result, "faults": found}, indent=2))
    else:
        rows = ", ".join(f"{count:,} {kind}" for kind, count in sorted(result["ended"].items()))
        left = result["figures"]
        print(f"{result['machine']}, {result['date']}; {result['picked']}")
        print(f"{result['requests']:,} requests in {result['seconds']:.0f} s: {rows}")
        print(
            "answers wanted of " + ", ".join(f"{path} {n:,}" for path, n in sorted(result["asked"].items()))
        )
        print(f"{result['retried']:,} were sent again after status 429")
        print(f"{left['preemptions_total']:,.0f} preemptions in {left['steps_total']:,.0f} steps")
        print("resident MiB by tenth: " + " ".join(f"{size / 2**20:.0f}" for size in result["resident"]))
        print("at rest after each quarter: " + " ".join(f"{size / 2**20:.0f}" for size in result["rested"]))
        if "kill" in result:
            print(f"kill -9: {result['kill']['in_flight_lost']} in flight lost, then the same answers")
        print("\n".join(found) or "Nothing wrong, nothing left.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
