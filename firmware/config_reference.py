"""Writes `docs/configuration.md` from the fields themselves: `python -m firmware.config_reference`."""

from __future__ import annotations

import dataclasses
import enum
import sys
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from firmware.config import Config

HEAD = """# Configuration reference

One TOML file describes a panel. It is made from `firmware/config.py` (`python -m firmware.config_reference`), so it
cannot differ from what the panel reads. An unknown key is an error; `gatebooth check-config FILE` lists all errors at
once. All zones are 24-hour zones: nothing here disarms one. A complete example is `deploy/panel.example.toml`.
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_section(name, hint) for name, hint in get_type_hints(Config).items())


def _section(name: str, hint: Any, where: str = "") -> str:
    hint = _present(hint)
    origin = get_origin(hint)
    if origin is dict:
        title, cls = f"[{name}.NAME]", get_args(hint)[1]
    elif origin is tuple:
        title, cls = f"[[{name}]]", get_args(hint)[0]
    else:
        title, cls = f"[{where}{name}]", hint
    doc = (cls.__doc__ or "").split(": ", 1)[-1].strip()
    rows, inner = [], []
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind = _present(hints[field.name])
        if dataclasses.is_dataclass(kind):
            inner.append(_section(field.name, kind, f"{name}."))
        else:
            rows.append(_row(field, kind))
    table = "| key | default | allowed | meaning |\n|---|---|---|---|\n" + "".join(rows)
    return f"\n## `{title}`\n\n{doc[:1].upper()}{doc[1:]}\n\n{table}{''.join(inner)}"


def _row(field: dataclasses.Field[Any], kind: Any) -> str:
    default = "required" if field.default is dataclasses.MISSING else _toml(field.default)
    cells = [f"`{field.name}`", default, _allowed(kind, field.metadata), field.metadata["doc"]]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _toml(value: object) -> str:
    match value:
        case None | "":
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            return f"`[{', '.join(map(str, value))}]`"
        case str():
            return f'`"{value}"`'
        case _:
            return f"`{value}`"


def _allowed(kind: Any, limits: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return ", ".join(f'`"{member.value}"`' for member in kind)
    if "choices" in limits:
        return ", ".join(_toml(choice) for choice in limits["choices"])
    if "pattern" in limits:
        return f"`{limits['pattern']}`"
    unit = f" {limits['unit']}" if "unit" in limits else ""
    if "low" in limits:
        return f"{limits['low']} … {limits['high']}{unit}"
    if "high" in limits:
        return f"up to {limits['high']} characters"
    return {bool: "`true`, `false`", Path: "file name", str: "text"}.get(kind, "")


def _present(hint: Any) -> Any:
    arms = [arm for arm in get_args(hint) if arm is not type(None)]
    return arms[0] if type(None) in get_args(hint) else hint


if __name__ == "__main__":
    sys.stdout.write(page())
