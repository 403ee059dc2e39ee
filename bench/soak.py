"""A long storm on the real server: thousands of requests, hang-ups and rubbish, in memory that is too small.

`handbook serve` runs in a process of its own, with so few pages that it preempts all the time. A pool of
requests is answered one by one first; in the storm each answer must equal the one it got alone. Then nothing
may be left: no page held, nobody waiting, resident memory flat.

    handbook bench soak [--requests 10000] [--at-once 48] [--model NAME] [--precision auto] [--memory 8MiB]
                        [--running 16] [--seed 1] [--kill] [--json]

--kill: afterwards kill -9 the server in mid-storm, start it again, and see that it answers as before.
Exits with 1 when something is wrong. --json: requests, by what was done and how it ended; wrong: answers that
differ; preemptions; steps; resident memory by tenth of the storm; pages held at the end.
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
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from time import perf_counter
from typing import Any

WORDS = (
    "cat",
    "mat",
    "seven",
    "old",
    "engineers",
    "argue",
    "about",
    "caches",
    "and",
    "tea",
    "in",
    "the",
    "rain",
)
POOL = 150
LIMIT = 4 << 20  # bytes of a body that the server reads at most
GROWTH = 0.05  # of resident memory over the last nine tenths, at most
KINDS = {
    "answer": 60, "stream": 14, "hang up in a stream": 10, "hang up at once": 6, "not JSON": 3,
    "wrong fields": 3, "bad schema": 2, "half a body": 1, "too large": 1,
}  # fmt: skip


@dataclass
class Storm:
    """What happened so far."""

    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    retried: int = 0


def pool(rng: random.Random, model: str) -> list[dict[str, Any]]:
    """Bodies for completions, greedy; every third with a beginning that others share."""
    shared = " ".join(rng.choices(WORDS, k=40))
    bodies = []
    for number in range(POOL):
        text = " ".join(rng.choices(WORDS, k=int(2 ** rng.uniform(0, 5.5))))
        bodies.append(
            {
                "model": model,
                "prompt": f"{shared} {text}" if number % 3 == 0 else text,
                "max_tokens": int(2 ** rng.uniform(0, 6)),
                "n": rng.choice((1, 1, 1, 2)),
                "temperature": 0,
            }
        )
    return bodies


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


def texts(answer: dict[str, Any]) -> list[str]:
    return [f"{one['text']}|{one['finish_reason']}" for one in answer["choices"]]


async def streamed(http: Any, body: dict[str, Any], stop_after: int | None = None) -> list[str] | int:
    """The texts of a stream, its status where it has none; [] when hung up after so many events."""
    said: dict[int, str] = {}
    async with http.stream("POST", "/v1/completions", json={**body, "stream": True}) as reply:
        if reply.status_code != 200:
            return int(reply.status_code)
        seen = 0
        async for line in reply.aiter_lines():
            if not line.startswith("data: {"):
                continue
            seen += 1
            if stop_after is not None and seen > stop_after:
                return []
            for one in json.loads(line[6:])["choices"]:
                end = f"|{one['finish_reason']}" if one["finish_reason"] else ""
                said[one["index"]] = said.get(one["index"], "") + one["text"] + end
    return [said[index] for index in sorted(said)]


async def hang_up(server: Server, body: bytes, wait: float, share: float = 1.0) -> None:
    """A client that leaves: after a part of its body, or before the answer."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[: int(len(body) * share)])
    with suppress(ConnectionError):
        await writer.drain()
        await asyncio.sleep(wait)
    writer.transport.abort()


def rubbish(kind: str, body: dict[str, Any], rng: random.Random) -> tuple[bytes, set[int]]:
    """A body that is refused, and the statuses that say so."""
    raw = json.dumps(body).encode()
    if kind == "not JSON":
        return rng.choice((raw[:-1], b"", b"\xff" + raw, b"[" * 5000, b'{"model": NaN}', raw + raw)), {400}
    if kind == "too large":
        return raw[:-1] + b', "user": "' + b"x" * (LIMIT + 1) + b'"}', {413}
    if kind == "bad schema":
        schemas: list[Any] = [
            {"type": "nothing"},
            {"$ref": "http://example.com/x"},
            {"type": "string", "pattern": "("},
            7,
        ]
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": rng.choice(schemas)}}
        chat = {
            "model": body["model"],
            "messages": [{"role": "user", "content": "x"}],
            "response_format": wanted,
        }
        return json.dumps(chat).encode(), {400}
    wrong: list[dict[str, Any]] = [
        {"max_tokens": -1}, {"temperature": 9}, {"nonsense": 1}, {"prompt": ""}, {"prompt": [10**9]},
        {"n": 0}, {"stop": []}, {"max_tokens": 10**6}, {"logit_bias": {"x": 1}},
    ]  # fmt: skip
    return json.dumps({**body, **rng.choice(wrong)}).encode(), {400}


async def one(
    server: Server, http: Any, storm: Storm, rng: random.Random, bodies: list[Any], alone: list[Any]
) -> None:
    """A request of the storm, in one of its ways."""
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    number = rng.randrange(len(bodies))
    body, expected = bodies[number], alone[number]
    raw = json.dumps(body).encode()
    if kind == "hang up at once":
        await hang_up(server, raw, rng.uniform(0, 0.2))
        storm.ended[kind] += 1
    elif kind == "half a body":
        await hang_up(server, raw, rng.uniform(0, 0.2), rng.random())
        storm.ended[kind] += 1
    elif kind in ("not JSON", "wrong fields", "bad schema", "too large"):
        content, statuses = rubbish(kind, body, rng)
        path = "/v1/chat/completions" if kind == "bad schema" else "/v1/completions"
        reply = await http.post(path, content=content)
        storm.ended[kind] += 1
        if reply.status_code not in statuses or "error" not in reply.json():
            storm.wrong.append(
                {"kind": kind, "status": reply.status_code, "body": content[:300].decode(errors="replace")}
            )
    else:
        while True:
            if kind == "answer":
                reply = await http.post("/v1/completions", content=raw)
                got: Any = texts(reply.json()) if reply.status_code == 200 else reply.status_code
            else:
                got = await streamed(http, body, rng.randrange(4) if kind == "hang up in a stream" else None)
            if got != 429:
                break
            storm.retried += 1
            await asyncio.sleep(rng.uniform(0.05, 0.5))
        storm.ended[kind] += 1
        if kind != "hang up in a stream" and got != expected:
            storm.wrong.append({"kind": kind, "body": body, "expected": expected, "got": got})
        elif kind == "hang up in a stream" and not isinstance(got, list):
            storm.wrong.append({"kind": kind, "status": got})


async def figures(http: Any) -> dict[str, float]:
    """The server's own metrics by name, without labels."""
    page = (await http.get("/metrics")).text
    return {found[1]: float(found[2]) for found in re.finditer(r"^handbook_(\w+) (\S+)$", page, re.MULTILINE)}


async def blow(
    server: Server, arguments: argparse.Namespace, storm: Storm, alone: list[Any]
) -> dict[str, Any]:
    """The whole storm, then what is left of it."""
    rng = random.Random(arguments.seed)
    bodies = pool(rng, server.model)
    async with client(server) as http:
        if not alone:
            for body in bodies:
                alone.append(texts((await http.post("/v1/completions", json=body)).json()))
        todo, done = iter(range(arguments.requests)), 0
        tenth = max(1, arguments.requests // 10)

        async def worker(seed: int) -> None:
            nonlocal done
            mine = random.Random(seed)
            for _ in todo:
                await one(server, http, storm, mine, bodies, alone)
                done += 1
                if done % tenth == 0:
                    storm.resident.append(server.resident)
                    if sys.stderr.isatty():
                        print(
                            f"{done:,} of {arguments.requests:,}, {len(storm.wrong)} wrong", file=sys.stderr
                        )

        begin = perf_counter()
        await asyncio.gather(*(worker(arguments.seed * 1000 + n) for n in range(arguments.at_once)))
        seconds = perf_counter() - begin
        for _ in range(100):
            left = await figures(http)
            if not left["running"] and not left["queue"] and not left["cache_use"]:
                break
            await asyncio.sleep(0.1)
        health = (await http.get("/health")).status_code
    return {"seconds": seconds, "health": health, "figures": left}


async def killed(server: Server, arguments: argparse.Namespace, alone: list[Any]) -> dict[str, Any]:
    """kill -9 in mid-storm, start again: the same answers as before."""
    bodies = pool(random.Random(arguments.seed), server.model)
    async with client(server) as http:
        flying = [asyncio.create_task(http.post("/v1/completions", json=body)) for body in bodies]
        await asyncio.sleep(0.5)
        server.process.kill()
        lost = sum(
            isinstance(one, Exception) for one in await asyncio.gather(*flying, return_exceptions=True)
        )
    server.close()
    again = Server(arguments)
    try:
        async with client(again) as http:
            same = [texts((await http.post("/v1/completions", json=body)).json()) for body in bodies[:30]]
    finally:
        status = again.end()
    return {"in_flight_lost": lost, "same_after_restart": same == alone[:30], "exit": status}


def faults(result: dict[str, Any]) -> list[str]:
    """What is wrong; nothing, if all is well."""
    left, resident = result["figures"], result["resident"]
    found = (
        [f"{len(result['wrong'])} wrong answers, the first: {result['wrong'][0]}"] if result["wrong"] else []
    )
    found += [
        f"{name} is {left[name]} at the end" for name in ("running", "queue", "cache_use") if left[name]
    ]
    if result["health"] != 200:
        found.append(f"the server's health is {result['health']}")
    if not left["preemptions_total"]:
        found.append("nothing was preempted: give it less memory")
    if len(resident) > 2 and resident[-1] > resident[1] * (1 + GROWTH):
        found.append(f"resident memory went from {resident[1]:,} to {resident[-1]:,} bytes")
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
        "retried": storm.retried,
        "wrong": storm.wrong[:20],
        "resident": storm.resident,
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
    parser.add_argument("--memory", default="8MiB", help="of the cache: little, so that it preempts")
    parser.add_argument("--running", type=int, default=16, help="texts at once")
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
        print(f"{result['retried']:,} were sent again after status 429")
        print(f"{left['preemptions_total']:,.0f} preemptions in {left['steps_total']:,.0f} steps")
        print("resident MiB by tenth: " + " ".join(f"{size / 2**20:.0f}" for size in result["resident"]))
        if "kill" in result:
            print(f"kill -9: {result['kill']['in_flight_lost']} in flight lost, then the same answers")
        print("\n".join(found) or "Nothing wrong, nothing left.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
