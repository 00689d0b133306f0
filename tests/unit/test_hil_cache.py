"""The virtual board's cache: an image that a run uses is never deleted by another state of the project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hil.virtual import recipe
from hil.virtual.cache import hold, tidy
from hil.virtual.image import BUSYBOX, build

TESTS = Path(__file__).parents[1]
RUN = "from hil.virtual.image import build; image = build(print); print(image.disk, flush=True); input()"


def made(cache, name, base, age_s):
    (cache / f"base-{base}").mkdir(exist_ok=True)
    folder = cache / f"image-{name}"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"base": base}))
    os.utime(folder, (1_000_000 - age_s, 1_000_000 - age_s))
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache in which the project as it stands is there, three other states of it are newer, and nobody is asked."""
    monkeypatch.setenv("GATEBOOTH_BENCH_CACHE", str(tmp_path))
    (tmp_path / "apt").mkdir()
    resolved = {"asked": [*recipe.PACKAGES, BUSYBOX], "files": {}}
    (tmp_path / "apt/resolved.json").write_text(json.dumps(resolved))
    base = recipe.base_key({})
    made(tmp_path, recipe.project_key(base), base, age_s=400)
    for age_s in (100, 200, 300):
        made(tmp_path, f"state-{age_s}", f"of-{age_s}", age_s)
    return tmp_path


def names(cache, kind):
    return sorted(path.name for path in cache.glob(f"{kind}-*"))


@pytest.fixture
def run(cache):
    """Another run, in a process of its own, that has begun to use its image."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        cwd=TESTS.parent,
    )
    disk = Path(process.stdout.readline().strip())
    yield process, disk.parent
    process.kill()
    process.communicate()


def test_an_image_that_another_process_uses_outlives_newer_states_of_the_project(cache, run):
    process, folder = run
    tidy(cache, cache / "base-of-100")
    assert names(cache, "image") == sorted([folder.name, "image-state-100", "image-state-200"])
    assert names(cache, "base") == sorted([f"base-{recipe.base_key({})}", "base-of-100", "base-of-200"])
    process.kill()
    process.wait()
    tidy(cache, cache / "base-of-100")
    assert names(cache, "image") == ["image-state-100", "image-state-200"]
    assert names(cache, "base") == ["base-of-100", "base-of-200"]
    assert not list(cache.glob(f"use-of-{folder.name}"))


def test_several_runs_use_one_image_and_the_last_one_lets_it_go(cache, run):
    process, folder = run
    second = build(print)
    process.kill()
    process.wait()
    tidy(cache, cache / "base-of-100")
    assert folder.name in names(cache, "image")
    second.use.close()
    tidy(cache, cache / "base-of-100")
    assert folder.name not in names(cache, "image")


def test_the_newest_images_stay_although_nobody_uses_them(cache):
    tidy(cache, cache / "base-of-100")
    assert names(cache, "image") == ["image-state-100", "image-state-200"]


def test_an_image_in_use_can_be_used_once_more(cache):
    first, second = (hold(cache / "image-state-300") for _ in range(2))
    first.close()
    tidy(cache, cache / "base-of-100")
    assert "image-state-300" in names(cache, "image")
    second.close()
