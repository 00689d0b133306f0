"""What `make wheel` builds: the project as it stands, nothing of an earlier build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = (".ci", "pyproject.toml", "README.md", "LICENSE", "firmware", "hal")
GHOST = "firmware/deleted_long_ago.py"


@pytest.fixture
def project(tmp_path):
    """A copy of the project in which an earlier build has left a module that is gone since."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in NEEDED:
        put = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        put(ROOT / name, copy / name)
    left = copy / "build/lib" / GHOST
    left.parent.mkdir(parents=True)
    left.write_text("")
    return copy


@pytest.fixture
def environment():
    """Build with what is installed: a test asks no index. (Of this variable pip takes 0 for "no isolation".)"""
    return {**os.environ, "PYTHON": sys.executable, "PIP_NO_BUILD_ISOLATION": "0"}


def test_the_wheel_holds_every_module_of_the_project_and_none_of_an_earlier_build(project, environment, tmp_path):
    subprocess.run([project / ".ci/wheel", tmp_path / "dist"], check=True, env=environment, cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("gatebooth-*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    sources = [path for room in ("firmware", "hal") for path in (ROOT / room).rglob("*.py")]
    assert held == {str(path.relative_to(ROOT)) for path in sources}
    assert sorted(path.name for path in (project / "build/lib/firmware").iterdir()) == [Path(GHOST).name]
