"""Every reason that the panel's parts give has its Chinese, and every Chinese sentence its reason."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from firmware.core.chinese import NAMES, REASONS, chinese, sentences
from firmware.core.maker import Maker

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

ROOT = Path(__file__).parents[2]
SIGNING, DIALLING = "firmware/wire/sign.py", "firmware/wire/dc09_key.py"
ROOMS = ("hal/*.py", "hal/pi/*.py", "firmware/adapters/*.py", "firmware/media/*.py", SIGNING, DIALLING)
DEFECTS = {"TypeError", "ValueError", "LinkError", "RuntimeError", "NotImplementedError", "NotSupported", "PinInUse"}
"""What a programmer reads, or who reads a configuration that was not checked."""
MACHINES = {"WireError", "SignatureError", "CommandRefused", "ControlError"}
"""What is wrong with bytes that a program sent."""
UNTOLD = {
    "hal/pi/sound_library.py": {"ALSA lib ", "Cannot connect to server ", "jack server is not "},
    "firmware/adapters/mqtt_client.py": {"certificate required", "peer did not return a certificate"}
    | {"alert unknown ca", "alert bad certificate", "alert decrypt error", "alert certificate expired"}
    | {"wrong version number", "record layer failure", "eof occurred"},
    "firmware/adapters/mqtt_pipe.py": {"failed to receive on socket"},
    "firmware/adapters/journal_troubles.py": {" (and {} more)"},
    "firmware/adapters/path_actor.py": {" ({} more since the last line)"},
    "firmware/media/child.py": {"key of {}"},
}
"""Pieces of what libraries say, that are searched for; pieces of lines of the log; names inside the program."""


def template(node: ast.AST) -> str | None:
    """A text as the table has it: `{}` for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def passed_over(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Assert():
            return True
        case ast.Raise(exc=ast.Call(func=ast.Name(id=name))):
            return name in DEFECTS | MACHINES
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
            return True
    return False


def said(node: ast.AST) -> list[str]:
    """Every text of two words and more in a piece of code that a person may be shown."""
    found: list[str] = []
    for child in ast.iter_child_nodes(node):
        text = None if passed_over(child) else template(child)
        if text is not None and len(re.findall(r"\b[a-z]{2,}\b", text.replace("{}", " "))) > 1 and " " in text.strip():
            found.append(text)
        elif text is None and not passed_over(child):
            found += said(child)
    return found


def files():
    return sorted(file for room in ROOMS for file in ROOT.glob(room))


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_reason_has_its_chinese(file):
    told = set(said(ast.parse(file.read_text(encoding="utf-8")))) - UNTOLD.get(str(file.relative_to(ROOT)), set())
    missing = sorted(text for text in told if chinese(text.replace("{}", "7")) == text.replace("{}", "7"))
    assert not missing, "add their Chinese to firmware/core/chinese_reasons.py"


def test_every_sentence_of_the_table_has_all_that_is_put_into_it():
    for english, translation in (sentences(REASONS) | sentences(NAMES)).items():
        parts = re.findall(r"{(\d?)}", translation)
        assert len(parts) == english.count("{}"), english
        assert {int(part) for part in parts if part} in (set(), set(range(len(parts)))), english


@pytest.mark.parametrize(
    ("english", "translation"),
    [
        (
            "path main: 10.0.0.9:1883 refuses connections: no broker listens there; check path.port",
            "路径 main：10.0.0.9:1883 拒绝连接：那里没有代理在监听；请检查 path.port",
        ),
        (
            "camera gate at rtsp://u:****@cam/live: it refuses user or password (401)",
            "摄像头 gate（rtsp://u:****@cam/live）：摄像头拒绝用户名或密码（401）",
        ),
        (
            "epoch file in /e cannot be written: No space left on device",
            "/e 中的纪元文件无法写入：磁盘已满",
        ),
        ("camera gate", "摄像头 gate"),
        ("the disk took 3 of 9 bytes", "磁盘只写下 9 字节中的 3 字节"),
        ("KeyError: 'x'", "KeyError: 'x'"),
        ("", ""),
        ("{} %s {0}", "{} %s {0}"),
    ],
)
def test_a_reason_is_put_into_chinese_with_what_is_in_it(english, translation):
    assert chinese(english) == translation


@pytest.mark.parametrize(("language", "why"), [("zh", "磁盘已满"), ("en", "No space left on device")])
def test_the_panel_tells_a_reason_in_its_own_language(language, why):
    told = Maker("p1", 1, language).say("trouble", source="journal", why="No space left on device")
    assert why in told.text
