"""The page of states is the code's own tables."""

from __future__ import annotations

from pathlib import Path

from firmware import state_reference
from firmware.core.effects import PATTERNS, Pattern
from firmware.core.report import CHAIN
from firmware.core.sounder import LAMP


def test_the_page_is_drawn_from_the_tables():
    page = (Path(__file__).parents[2] / "docs" / "states.md").read_text(encoding="utf-8")
    assert page == state_reference.page()


def test_every_step_has_a_lamp_and_every_pattern_a_rhythm():
    assert set(LAMP) == set(CHAIN)
    assert set(PATTERNS) == set(Pattern)
