"""llama.cpp: its server in a process beside this one, spoken to over HTTP; and its batched benchmark, which
measures itself.

    on_llama.py --model FILE.gguf --server PATH/llama-server --threads 2
"""

import asyncio
import json
import os
import socket
import subprocess
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from talk import Ask, Times, answer

SLOTS = 32


def batched(
    bench: Path, model: Path, threads: int, prompt: int, tokens: int, counts: Sequence[int]
) -> list[dict[str, float]]:
    """What llama-batched-bench tells of so many sequences at once: pl, t_pp, t_tg and more, a row each."""
    room = max(counts) * (prompt + tokens)
    command = [bench, "-m", model, "-t", threads, "-c", room, "-b", 2048, "-ub", 512, "-npp", prompt]
    command += ["-ntg", tokens, "-npl", ",".join(map(str, counts)), "--output-format", "jsonl"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class Llama:
    def __init__(self, options: Namespace) -> None:
        self.model = Path(options.model)
        self.server = Path(os.environ["LLAMA_SERVER"])
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [self.server, "-m", self.model, "-t", options.threads, "-np", SLOTS, "--port", self.port]
        command += [
            "--host",
            "127.0.0.1",
            "-c",
            SLOTS * options.context,
            "-b",
            2048,
            "-ub",
            512,
            "--no-webui",
        ]
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
        self._wait()

    def _wait(self, seconds: float = 120) -> None:
        for _ in range(int(seconds / 0.05)):
            if self.process.poll() is not None:
                raise SystemExit(f"llama-server ended with {self.process.returncode}")
            try:
                if b" 200 " in asyncio.run(self._health()):
                    return
            except OSError:
                pass
            sleep(0.05)
        raise SystemExit("llama-server does not answer")

    async def _health(self) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        line = await reader.readline()
        writer.close()
        return line

    def about(self) -> dict[str, Any]:
        told = subprocess.run([str(self.server), "--version"], capture_output=True, text=True, check=False)
        version = (told.stdout + told.stderr).partition("version: ")[2].partition("\n")[0]
        return {"version": f"llama.cpp {version}", "precision": self.model.stem}

    async def _one(self, ask: Ask, start: float, times: list[float]) -> None:
        await asyncio.sleep(max(0.0, ask.at - (perf_counter() - start)))
        body = {
            "prompt": list(ask.prompt),
            "n_predict": ask.tokens,
            "ignore_eos": True,
            "temperature": 0.0,
            "stream": True,
            "return_tokens": True,
            "cache_prompt": True,
        }
        data = json.dumps(body).encode()
        head = f"POST /completion HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\nConnection: close\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + data)
        async for line in reader:
            if line.startswith(b"data: {"):
                now = perf_counter() - start
                count = len(json.loads(line[6:])["tokens"])
                times += [now] * min(count, ask.tokens - len(times))
        writer.close()
        if len(times) != ask.tokens:
            raise SystemExit(f"llama-server gave {len(times)} tokens, not {ask.tokens}")

    def run(self, asks: Sequence[Ask], switches: dict[str, Any]) -> dict[str, Any]:
        times: Times = [[] for _ in asks]

        async def everybody() -> None:
            start = perf_counter()
            await asyncio.gather(*(self._one(a, start, t) for a, t in zip(asks, times, strict=True)))

        asyncio.run(everybody())
        return {"times": times}


def make(options: Namespace) -> Llama:
    global running
    running = Llama(options)
    return running


running: Llama | None = None

if __name__ == "__main__":
    try:
        answer(make)
    finally:
        if running is not None:
            running.process.kill()
            running.process.wait()
