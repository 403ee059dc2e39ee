"""Looks at this machine: processor, instruction sets, memory, GPU. Reads, never measures; imports no torch.

A GPU is recognised through the vendor's own command (`nvidia-smi`) or the platform (Apple silicon), because
asking torch would cost seconds at every start.
"""

import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

# Linux /proc/cpuinfo flag -> the name that people use, widest first.
ISA_FLAGS = {
    "amx_int8": "AMX-INT8",
    "amx_bf16": "AMX-BF16",
    "avx512_bf16": "AVX-512 BF16",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512f": "AVX-512",
    "avx_vnni": "AVX-VNNI",
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "sve": "SVE",
    "i8mm": "I8MM",
    "bf16": "BF16",
    "asimd": "NEON",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found. `isa` is widest first; memory in bytes; gpu None where none was recognised."""

    cpu: str
    cores: int
    isa: tuple[str, ...]
    memory_bytes: int
    gpu: str | None
    os: str
    python: str

    @property
    def label(self) -> str:
        """One line for measured claims."""
        parts = [self.cpu, f"{self.cores} cores"]
        if self.isa:
            parts.append(self.isa[0])
        parts.append(f"{self.memory_bytes / 2**30:.0f} GiB")
        if self.gpu:
            parts.append(self.gpu)
        parts += [self.os, f"Python {self.python}"]
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "isa": list(self.isa), "label": self.label}


@lru_cache(maxsize=1)
def probe() -> Machine:
    """The machine that this process runs on. Never raises; what can't be read is said to be unknown."""
    import psutil

    name, flags = _processor()
    return Machine(
        cpu=name,
        cores=_usable_cores(),
        isa=tuple(shown for flag, shown in ISA_FLAGS.items() if flag in flags),
        memory_bytes=_memory_limit(psutil.virtual_memory().total),
        gpu=_gpu(),
        os=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def _usable_cores() -> int:
    """Cores that this process may run on, which a container can make fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_limit(total: int) -> int:
    """The control group's limit where one is set, else all memory."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def _processor() -> tuple[str, frozenset[str]]:
    try:
        return parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        pass
    if platform.system() == "Darwin":
        name = _run("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor()
        features = (_run("sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features") or "").lower()
        flags = set(features.split()) | ({"asimd"} if platform.machine() == "arm64" else set())
        return name or "unknown processor", frozenset(flags)
    return platform.processor() or platform.machine() or "unknown processor", frozenset()


def parse_cpuinfo(text: str) -> tuple[str, frozenset[str]]:
    """Name and flags out of the text of /proc/cpuinfo (x86 says `flags`, Arm says `Features`)."""
    name, flags = "", frozenset[str]()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        match key.strip():
            case "model name" | "Model" if not name:
                name = value.strip()
            case "flags" | "Features" if not flags:
                flags = frozenset(value.split())
    return name or platform.processor() or platform.machine() or "unknown processor", flags


def _gpu() -> str | None:
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "Apple GPU (Metal)"
    if shutil.which("nvidia-smi"):
        listed = _run("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
        if listed:
            return listed.splitlines()[0].strip()
    return None


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
