"""The rule of dependency: app → adapters → (core, hal), and a core without I/O."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPURE = {
    "time", "threading", "socket", "os", "logging", "random", "asyncio", "subprocess", "sqlite3", "queue", "select",
    "multiprocessing", "secrets", "pathlib", "io", "signal", "datetime",
}  # fmt: skip


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are written in full"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(room: str) -> list[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    assert found, f"nothing in {room}"
    return found


@pytest.mark.parametrize("file", files("hal"), ids=str)
def test_the_board_knows_nothing_of_the_firmware(file):
    assert not [name for name in imports(file) if name.split(".")[0] == "firmware"]


@pytest.mark.parametrize("file", files("firmware/core"), ids=str)
def test_the_core_is_pure(file):
    used = imports(file)
    assert not {name.split(".")[0] for name in used} & IMPURE
    assert not [name for name in used if name.startswith("hal") and not name.startswith("hal.types")]
    rooms = {".".join(name.split(".")[:2]) for name in used if name.startswith("firmware")}
    assert rooms <= {"firmware.core"}


@pytest.mark.parametrize("file", files("firmware/adapters"), ids=str)
def test_adapters_do_not_know_the_application(file):
    forbidden = ("firmware.app", "firmware.cli", "firmware.sim", "firmware.demo", "firmware.receiver", "firmware.loop")
    assert not [name for name in imports(file) if name.startswith(forbidden)]


LEAN = [*files("firmware/adapters"), *files("firmware/wire"), *files("firmware/core")]


@pytest.mark.parametrize("file", LEAN, ids=str)
def test_the_panel_process_imports_no_media_library(file):
    assert not {name.split(".")[0] for name in imports(file)} & {"av", "pyaudio"}


def loaded(file: Path) -> list[str]:
    """Modules that a file's own import loads, in their order; not those for types or inside functions."""
    found: list[str] = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found


@pytest.mark.parametrize("file", [*files("hal"), *files("firmware")], ids=str)
def test_a_part_of_pyav_is_loaded_after_the_whole(file):
    """Threads that load `av.error` and `av` side by side wait for each other, and Python gives each a half."""
    parts = [name for name in loaded(file) if name == "av" or name.startswith("av.")]
    assert parts[:1] in ([], ["av"])
