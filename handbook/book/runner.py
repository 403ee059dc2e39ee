"""Runs in the child process that tests a submission, started by `handbook.book.exercises`.

Arguments: the folder with submission.py and the test files, the file descriptor to write results to, limits
as JSON, the name that the submission must define, and the test files' stems. Each line written is one JSON
object: {"start": name}, {"name", "passed", "message", "seconds"} or {"broken": message}. No handbook import.
"""

import contextlib
import importlib.util
import json
import os
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

LONGEST = 2000


def limit(limits: dict[str, int]) -> None:
    """Lower what the kernel lets this process use. Limits that a platform does not know are passed over."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        with contextlib.suppress(ValueError, OSError):
            _, hard = resource.getrlimit(kind)
            most = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (most, most))


def load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def explain(error: BaseException, folder: Path) -> str:
    """What went wrong, and in which line of the submission."""
    text = str(error).strip()
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError):
        where = f"Line {error.lineno}: " if error.lineno else ""
        source = f": {error.text.strip()}" if error.text else ""
        return f"{where}{error.msg}{source}"[:LONGEST]
    if isinstance(error, AssertionError):
        line = next((f.line for f in reversed(frames) if Path(f.filename).parent == folder), None)
        if text or not line:
            return (text or "The test's assertion does not hold.")[:LONGEST]
        return f"Does not hold: {line}"[:LONGEST]
    own = [frame for frame in frames if Path(frame.filename) == folder / "submission.py"]
    starter = text and isinstance(error, NotImplementedError)  # its line says the same once more
    where = f" (line {own[-1].lineno}{'' if starter else f': {own[-1].line}'})" if own else ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{where}"[:LONGEST]


def main() -> None:
    folder, channel, limits = Path(sys.argv[1]).resolve(), int(sys.argv[2]), json.loads(sys.argv[3])
    out = os.fdopen(channel, "w", encoding="utf-8", buffering=1)
    os.set_inheritable(channel, False)
    limit(limits)

    def tell(**message: Any) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    try:
        submission = load(folder / "submission.py")
    except BaseException as error:  # SystemExit too: a submission that exits has not passed
        tell(broken=f"The submission cannot be loaded. {explain(error, folder)}")
        return
    if not hasattr(submission, sys.argv[4]):
        tell(broken=f"The submission defines no {sys.argv[4]}.")
        return
    for stem in sys.argv[5:]:
        try:
            tests = load(folder / f"{stem}.py")
        except BaseException as error:
            tell(broken=f"{stem}.py cannot be loaded. {explain(error, folder)}")
            return
        for name in [n for n, value in vars(tests).items() if n.startswith("test_") and callable(value)]:
            tell(start=f"{stem}:{name}")
            begin, message = time.perf_counter(), ""
            try:
                getattr(tests, name)(submission)
            except BaseException as error:
                message = explain(error, folder) or type(error).__name__
            seconds = time.perf_counter() - begin
            tell(name=f"{stem}:{name}", passed=not message, message=message, seconds=seconds)
    sys.stdout.flush()
    out.flush()
    os._exit(0)  # threads that a submission left behind do not keep the verdict waiting


if __name__ == "__main__":
    main()
