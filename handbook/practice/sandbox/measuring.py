"""What a process uses, read from the system and not asked of it; and how one ended, in words.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

FILES_MOST = 20_000
FIELDS = ("VmRSS", "VmHWM", "Threads")  # of /proc/PID/status
SIGNALS = {
    "SIGSEGV": "a crash in native code or a stack that ran over (SIGSEGV)",
    "SIGXCPU": "more processor time than allowed (SIGXCPU)",
    "SIGXFSZ": "a file larger than allowed (SIGXFSZ)",
    "SIGKILL": "SIGKILL, perhaps for want of memory",
    "SIGSYS": "a forbidden system call (SIGSYS)",
}


def ending(status: int) -> str:
    """An exit status, in words."""
    if status >= 0:
        return f"exit status {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
    return SIGNALS.get(name, name)


def weight(folder: Path) -> int:
    """Bytes of the files below a folder, each counted as a page at least; looks at the first FILES_MOST."""
    total, seen, todo = 0, 0, [str(folder)]
    while todo and seen < FILES_MOST:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    seen += 1
                    total += max(4096, entry.stat(follow_symlinks=False).st_size)
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                    if seen >= FILES_MOST:
                        break
        except OSError:
            continue
    return total


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, by its clock where there is one (Linux, man clock_getcpuclockid)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except (OSError, OverflowError):
        pass
    try:
        import psutil

        times = psutil.Process(pid).cpu_times()
    except Exception:  # gone, or not ours to look at
        return 0.0
    return float(times.user + times.system)


def usage(pid: int) -> tuple[int, int, int]:
    """Resident bytes of a process, now and at most, and its threads; zeros if it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            rows = dict(line.split(":", 1) for line in file if line.startswith(FIELDS))
        return _kib(rows["VmRSS"]), _kib(rows["VmHWM"]), int(rows["Threads"])
    except (OSError, KeyError, ValueError):
        pass
    if os.path.exists("/proc/self"):  # noqa: PTH110
        return 0, 0, 0
    try:
        import psutil

        process = psutil.Process(pid)
        held = int(process.memory_info().rss)
        return held, held, process.num_threads()
    except Exception:
        return 0, 0, 0


def _kib(row: str) -> int:
    return int(row.split()[0]) * 1024
