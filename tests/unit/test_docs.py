"""The pages are true where a machine can tell: links, files, names of functions, commands and their options."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
from pathlib import Path

import pytest

from firmware.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*.md"), *(ROOT / "docs").rglob("*.md")]
FLOW = ROOT / "docs" / "code-flow-of-a-panic-press.md"


def by_name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_link_leads_to_a_page(page):
    links = re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_file_of_the_code_that_a_page_names_is_there(page):
    named = re.findall(r"\b(?:firmware|hal|tests|deploy)/[\w/.-]+\.(?:py|toml|service|scn)\b", page.read_text("utf-8"))
    assert not [file for file in named if not (ROOT / file).exists()]


def test_the_architecture_page_leads_to_every_page():
    front = ROOT / "docs" / "architecture.md"
    linked = set(re.findall(r"\]\(([^)#]+)\)", front.read_text(encoding="utf-8")))
    assert not {page.name for page in front.parent.glob("*.md")} - linked - {front.name}


def methods():
    """Every `Class.method` of the code."""
    found = set()
    for file in [*(ROOT / "firmware").rglob("*.py"), *(ROOT / "hal").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return found


def test_the_way_of_a_press_goes_through_functions_that_are_there():
    named = set(re.findall(r"`([A-Z]\w+\.[a-z_]\w*)", FLOW.read_text(encoding="utf-8")))
    assert len(named) > 5
    assert not named - methods()


def parser_of(command):
    parser = argparse.ArgumentParser()
    importlib.import_module(COMMANDS[command][0]).add_arguments(parser)
    return parser


def shown_commands():
    """Every command line of `gatebooth` in the pages, with the page."""
    pattern = re.compile(rf"(?:^|[`/ ])gatebooth ((?:{'|'.join(COMMANDS)})\b[^`\n#|]*)", re.MULTILINE)
    for page in PAGES:
        for line in pattern.findall(page.read_text(encoding="utf-8").replace("\\\n", " ")):
            yield pytest.param(line.strip(), id=f"{by_name(page)}: {line.strip()[:60]}")


@pytest.mark.parametrize("line", list(shown_commands()))
def test_every_option_that_a_page_shows_is_one(line):
    command, *words = line.split()
    options = {option for action in parser_of(command)._actions for option in action.option_strings}
    shown = {word.strip("[]").split("=")[0].split("|")[0] for word in words if word.strip("[").startswith("--")}
    assert not shown - options


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in folder.glob("0*.md") if f"]({page.name})" not in listed]
