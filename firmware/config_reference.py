"""Writes the reference pages from the fields themselves: `python -m firmware.config_reference en|zh`."""

from __future__ import annotations

import dataclasses
import enum
import sys
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from firmware.config import Config
from firmware.core.words import pick

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

HEADS = {
    "en": """# Configuration reference

[中文](configuration.zh-CN.md)

One TOML file describes a panel. This page is made from `firmware/config.py` (`python -m firmware.config_reference en`)
and cannot differ from what the panel reads. An unknown key is an error; `gatebooth check-config FILE` lists all errors
at once. All zones are 24-hour zones: nothing here disarms one. A complete example is `deploy/panel.example.toml`.
""",
    "zh": """# 配置参考

[English](configuration.md)

一个 TOML 文件描述一台主机。本页由 `firmware/config.py` 生成（`python -m firmware.config_reference zh`），
与主机实际读取的一致。不认识的键是错误；`gatebooth check-config 文件` 一次列出全部错误。
所有防区都是 24 小时防区：这里没有任何设置能撤防。完整示例见 `deploy/panel.example.toml`。
""",
}
"""How the page of each language begins."""

_WORDS = {
    "columns": ("键 | 默认值 | 允许值 | 含义", "key | default | allowed | meaning"),
    "required": ("必填", "required"),
    "none": ("无", "none"),
    "characters": ("最多 {high} 个字符", "up to {high} characters"),
    "bytes": ("最多 {bytes} 个字节", "up to {bytes} bytes"),
    "file": ("文件名", "file name"),
    "text": ("文本", "text"),
}


def page(language: str) -> str:
    """The whole page in "en" or "zh"."""
    return HEADS[language] + _Page(language).sections()


class _Page:
    def __init__(self, language: str) -> None:
        self._language = language

    def sections(self) -> str:
        hints = get_type_hints(Config)
        return "".join(self._section(field, hints[field.name]) for field in dataclasses.fields(Config))

    def _section(self, field: dataclasses.Field[Any], hint: Any, where: str = "") -> str:
        hint = _present(hint)
        origin = get_origin(hint)
        if origin is dict:
            title, cls = f"[{field.name}.NAME]", get_args(hint)[1]
        elif origin is tuple:
            title, cls = f"[[{field.name}]]", get_args(hint)[0]
        else:
            title, cls = f"[{where}{field.name}]", hint
        rows, inner = [], []
        hints = get_type_hints(cls)
        for key in dataclasses.fields(cls):
            kind = _present(hints[key.name])
            if dataclasses.is_dataclass(kind):
                inner.append(self._section(key, kind, f"{field.name}."))
            else:
                rows.append(self._row(key, kind))
        table = f"| {self._say('columns')} |\n|---|---|---|---|\n" + "".join(rows)
        return f"\n## `{title}`\n\n{field.metadata[self._language]}\n\n{table}{''.join(inner)}"

    def _row(self, field: dataclasses.Field[Any], kind: Any) -> str:
        default = self._say("required") if field.default is dataclasses.MISSING else self._toml(field.default)
        cells = [f"`{field.name}`", default, self._allowed(kind, field.metadata), field.metadata[self._language]]
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    def _toml(self, value: object) -> str:
        match value:
            case None | "":
                return self._say("none")
            case bool():
                return f"`{str(value).lower()}`"
            case tuple():
                return f"`[{', '.join(map(str, value))}]`"
            case str():
                return f'`"{value}"`'
            case _:
                return f"`{value}`"

    def _allowed(self, kind: Any, limits: Any) -> str:
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return ", ".join(f'`"{member.value}"`' for member in kind)
        if "choices" in limits:
            return ", ".join(self._toml(choice) for choice in limits["choices"])
        if "shape" in limits:
            return pick(self._language, limits["shape"])
        unit = f" {limits['unit']}" if "unit" in limits else ""
        if "low" in limits:
            return f"{limits['low']} … {limits['high']}{unit}"
        for limit, word in (("high", "characters"), ("bytes", "bytes")):
            if limit in limits:
                return self._say(word, **{limit: limits[limit]})
        return {bool: "`true`, `false`", Path: self._say("file"), str: self._say("text")}.get(kind, "")

    def _say(self, key: str, **values: object) -> str:
        return pick(self._language, _WORDS[key]).format(**values)


def _present(hint: Any) -> Any:
    arms = [arm for arm in get_args(hint) if arm is not type(None)]
    return arms[0] if type(None) in get_args(hint) else hint


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1]))
