"""`handbook serve`: an OpenAI-compatible server over the handbook's own engine."""

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handbook.settings import Settings, load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from handbook.engine.engine import Engine

UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}


@click.command("serve")
@click.option("--model", help="Name, path or hub id; the setting `model` when not given.")
@click.option("--host", help="Address to listen on (default 127.0.0.1). Any but loopback needs an API key.")
@click.option("--port", type=click.IntRange(0, 65535), default=8018, show_default=True, help="0: a free one.")
@click.option("--memory", default="512MiB", show_default=True, help="For the cache's pages.")
@click.option("--page", type=int, default=16, show_default=True, help="Positions of a page.")
@click.option("--running", type=int, default=64, show_default=True, help="Texts written at once, at most.")
@click.option("--tokens", type=int, default=512, show_default=True, help="Computed in a step, at most.")
@click.option("--queue", type=int, default=256, show_default=True, help="Texts that wait, at most.")
@click.option("--speculation", type=click.Choice(["off", "lookup"]), default="lookup", show_default=True)
@click.option(
    "--draft-model", help="A smaller model of the same tokenizer, to guess ahead instead of lookup."
)
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    metavar="NAME=FOLDER",
    help="A LoRA adapter of this model, served beside it as a model of that name; may be repeated.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "int8", "int4", "bf16", "fp32"]),
    help="Of products; the setting `precision` when not given. auto: int8 on compiled kernels, else fp32.",
)
@click.option(
    "--api-key", help="What clients must show. HANDBOOK_SERVE_KEY keeps it out of the process list."
)
@click.option("--threads", type=int, help="CPU threads for models (default all cores).")
@click.option(
    "--drain", type=float, default=30.0, show_default=True, help="Seconds to finish in, at the end."
)
@click.option(
    "--trace",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write down what each step does, into a new file; `handbook engine replay` shows it.",
)
def serve_command(
    model: str | None,
    host: str | None,
    port: int,
    memory: str,
    page: int,
    running: int,
    tokens: int,
    queue: int,
    speculation: Any,
    draft_model: str | None,
    adapters: tuple[str, ...],
    precision: str | None,
    api_key: str | None,
    threads: int | None,
    drain: float,
    trace: Path | None,
) -> None:
    """Serve a model under OpenAI's protocol, many requests at once.

    /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models; /health; /metrics for Prometheus.
    Ctrl-C or SIGTERM ends it: nothing new is taken in, what runs is finished.
    """
    settings = load(model=model, serve_key=api_key, precision=precision)
    size = bytes_of(memory)
    numbers = {"page": page, "running": running, "tokens": tokens, "queue": queue}
    faults = impossible(size, memory, numbers, threads, drain, host or "127.0.0.1", settings.serve_key)
    folders = adapter_folders(adapters, (settings.model, settings.embedder), faults)
    if trace is not None and (trace.exists() or not trace.parent.is_dir()):
        faults.append(f"--trace is {trace}, expected a file that is not there yet, in a folder that is")
    if faults:
        raise click.UsageError("; ".join(faults) + ".")
    _serve(
        settings.model_copy(update={"host": host or "127.0.0.1", "port": port, "threads": threads}),
        {"memory": size, "page": page, "speculation": speculation, "draft": draft_model},
        folders,
        {"running": running, "tokens": tokens, "queue": queue},
        drain,
        trace,
    )


def impossible(
    size: int | None,
    memory: str,
    numbers: dict[str, int],
    threads: int | None,
    drain: float,
    host: str,
    key: str | None,
) -> list[str]:
    """Everything that can't be, before any weight is read."""
    import psutil

    faults = [f"--{name} is {value}, expected 1 or more" for name, value in numbers.items() if value < 1]
    there = psutil.virtual_memory().total
    if not size:
        faults.append(f"--memory is {memory!r}, expected a size such as 512MiB or 2GiB")
    elif size > there:
        faults.append(f"--memory is {memory}, and this machine has {there / 2**30:.1f} GiB")
    if numbers["running"] > numbers["tokens"] > 0:
        faults.append(
            f"--running ({numbers['running']}) passes --tokens ({numbers['tokens']}): each text needs a "
            "token in a step"
        )
    if threads is not None and not 1 <= threads <= 1024:
        faults.append(f"--threads is {threads}, expected 1 to 1024")
    if not 0 <= drain < float("inf"):
        faults.append(f"--drain is {drain}, expected seconds")
    if not is_loopback(host) and not key:
        faults.append(
            f"--host {host} lets other machines in, and without --api-key or HANDBOOK_SERVE_KEY anybody "
            "there could use this one"
        )
    if key is not None and (not key.strip() or not key.isascii() or not key.isprintable() or " " in key):
        faults.append("the API key should be printable ASCII without spaces")
    return faults


def adapter_folders(given: Sequence[str], taken: Sequence[str], faults: list[str]) -> dict[str, Path]:
    """Of NAME=FOLDER, by name; what is wrong goes to faults."""
    found: dict[str, Path] = {}
    for one in given:
        name, separator, folder = one.partition("=")
        if not (name and separator and folder):
            faults.append(f"--adapter is {one!r}, expected NAME=FOLDER")
        elif name in found or name in taken:
            faults.append(f"--adapter {name} is the name of another model here")
        elif not Path(folder).expanduser().is_dir():
            faults.append(f"--adapter {one} names no folder")
        else:
            found[name] = Path(folder).expanduser()
    return found


def bytes_of(text: str) -> int | None:
    """512MiB, 2GiB, 1.5g or 1000000 as bytes; None for anything else."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([kmg]i?)?b?", text.strip().lower())
    return int(float(found[1]) * UNITS[found[2] or ""]) if found else None


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class TextVectors:
    """The embedder of the settings, as the server wants it: with counts, and nothing cut off unsaid."""

    def __init__(self, settings: Settings) -> None:
        from handbook.embed import LocalEmbedder

        self._embedder = LocalEmbedder(settings)
        self.name = settings.embedder

    def embed(self, texts: Sequence[str]) -> "tuple[NDArray[np.float32], int]":
        """[N] texts -> [N, D] and their tokens. Raises ValueError for texts beyond the model's limit."""
        _, tokenizer = self._embedder.load()
        read = tokenizer.encode_batch(list(texts))
        if long := [number for number, encoding in enumerate(read) if encoding.overflowing]:
            limit = len(read[long[0]].ids)
            raise ValueError(f"The model takes {limit} tokens a text; input {long[0]} has more.")
        return self._embedder.embed(texts), sum(len(encoding.ids) for encoding in read)


def embedder_here(settings: Settings) -> bool:
    """Whether the settings' embedder can be served: one of the catalogue has to be on this machine."""
    from handbook.model.weights.catalog import CATALOG, find

    return settings.embedder not in CATALOG or find(settings.embedder, settings) is not None


def _serve(
    settings: Settings,
    pages: dict[str, Any],
    adapters: dict[str, Path],
    limits: dict[str, Any],
    drain: float,
    trace: Path | None,
) -> None:
    from handbook.app.cli.open import bind
    from handbook.engine.heap import share_heaps
    from handbook.engine.listening import Listening
    from handbook.engine.opened import load_adapters, open_engine
    from handbook.engine.served import Served
    from handbook.engine.server import create_server
    from handbook.engine.tracefile import TraceWriter
    from handbook.engine.work import Limits

    listener = bind(settings.host, settings.port, "handbook serve --port 8019")
    share_heaps()
    try:
        try:
            engine = open_engine(
                settings.model, settings, settings.precision, limits=Limits(**limits), **pages
            )
        except ValueError as error:
            raise click.UsageError(f"--memory is too little: {error}.") from error
        load_adapters(engine, adapters)
        writer = None if trace is None else TraceWriter(trace, engine.header)
        engine.watch(writer)
        served = Served(engine)
        loopback = is_loopback(settings.host)
        embedder = TextVectors(settings) if embedder_here(settings) else None
        app = create_server(served, embedder=embedder, key=settings.serve_key, loopback=loopback)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        click.echo(described(engine, f"http://{host}:{listener.getsockname()[1]}", settings, drain))
        Listening(app, drain).run(sockets=[listener])
        served.close(drain=False, timeout=10)
        if writer is not None:
            writer.close()
    finally:
        listener.close()


def described(engine: "Engine", address: str, settings: Settings, drain: float) -> str:
    """What is served, where, and what was picked for it."""
    import torch

    pages, context, limits = engine.pages, engine.loaded.config.context, engine.limits
    size, places = pages.size, pages.count * pages.size
    absent = f"none: {settings.embedder} is not here; `handbook models get {settings.embedder}` brings it"
    lines = [
        f"Serving {engine.loaded.name} at {address}/v1",
        f"  computes   {engine.picked}; {torch.get_num_threads()} threads, speculation {engine.speculation}",
        f"  cache      {pages.count:,} pages of {size} positions, {places:,} in all; context {context:,}",
        f"  at most    {limits.running} texts at once, {limits.tokens} tokens a step, {limits.queue} waiting",
        f"  embeddings {settings.embedder if embedder_here(settings) else absent}",
        f"  clients    {'must show the API key' if settings.serve_key else 'of this machine, without a key'}",
        f"Ctrl-C ends it, when what runs is finished, or after {drain:g} s.",
    ]
    if places < context:
        lines.insert(3, f"             a text longer than {places:,} tokens does not fit: give more --memory")
    if engine.adapters:
        lines.insert(1, f"  adapters   {', '.join(engine.adapters)}; each is asked for as a model")
    return "\n".join(lines)
