"""Resident memory of this process, now and at its most, in bytes. Standard library only."""

import resource
import sys
from pathlib import Path


def resident() -> int:
    """Now; 0 where the system has no /proc."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0
    line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def peak() -> int:
    """At its most since the process began."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # bytes there, kilobytes elsewhere
