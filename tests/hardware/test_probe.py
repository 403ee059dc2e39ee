import os
import subprocess
import sys

from handbook.hardware.probe import parse_cpuinfo, probe

X86 = "processor\t: 0\nmodel name\t: Example CPU\nflags\t: fpu sse2 fma avx2 avx512f\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd i8mm bf16\n"


def test_x86_cpuinfo() -> None:
    name, flags = parse_cpuinfo(X86)
    assert name == "Example CPU"
    assert {"avx512f", "avx2", "fma"} <= flags


def test_arm_cpuinfo_has_features_and_no_model_name() -> None:
    name, flags = parse_cpuinfo(ARM)
    assert name
    assert "asimd" in flags


def test_this_machine() -> None:
    machine = probe()
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.memory_bytes > 2**28
    assert machine.cpu in machine.label
    assert f"{machine.cores} cores" in machine.label
    assert machine.to_dict()["isa"] == list(machine.isa)


def test_probe_loads_no_torch() -> None:
    code = "import sys; from handbook.hardware.probe import probe; probe(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
