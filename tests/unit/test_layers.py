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
