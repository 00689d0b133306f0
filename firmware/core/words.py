"""What the core tells guard and technician, in Chinese and in English; reasons come from the parts: see `chinese`."""

from __future__ import annotations

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

WORDS: dict[str, tuple[str, str]] = {
    "event": ("{zone}：{event}", "{zone}: {event}"),
    "restored": ("上电后恢复未解除的报警 {count} 起", "{count} latched alarm(s) restored after start"),
    "renamed": (
        "日志中有 {count} 条未了的报警报告属于主机 {panel}；本机已改名，不再发送",
        "{count} alarm report(s) of panel {panel} were open in the journal; its name is another now, they are let go",
    ),
    "reset-done": ("已解除：{zones}", "reset: {zones}"),
    "reset-none": ("没有可解除的报警", "there is no alarm to reset"),
    "reset-held": (
        "{zone} 的按钮仍按下，请先复位按钮再解除",
        "the button of {zone} is still pressed: release it, then reset",
    ),
    "reset-who": ("解除报警必须写明姓名和原因", "a reset needs a name and a reason"),
    "no-zone": ("没有防区 {zone}；现有：{zones}", "there is no zone {zone}; there are: {zones}"),
    "bell-off": ("警笛已关闭；报警仍在", "the siren is off; the alarm stays"),
    "help": (
        "命令：status｜bell-off 姓名｜reset 防区|all 姓名 原因",
        "commands: status | bell-off NAME | reset ZONE|all NAME REASON",
    ),
    "no-verb": (
        "不认识命令 {verb}；可用：reset、bell-off、status",
        "unknown command {verb}; there are: reset, bell-off, status",
    ),
    "status": (
        "未解除报警 {open} 起；待确认 {pending} 条；可用路径：{paths}；故障：{troubles}",
        "open alarms {open}; unacknowledged {pending}; paths up: {paths}; troubles: {troubles}",
    ),
    "status-panel": (
        "主机 {panel}；版本 {version}；时钟{clock}",
        "panel {panel}; version {version}; clock {clock}",
    ),
    "status-trouble": ("- {source}：{why}", "- {source}: {why}"),
    "clock-set": ("已校准", "set"),
    "clock-unset": ("未校准", "not set"),
    "none": ("无", "none"),
    "trouble": ("故障 {source}：{why}", "trouble {source}: {why}"),
    "trouble-over": ("故障恢复 {source}", "trouble over: {source}"),
    "path-up": ("路径 {path} 已连通", "path {path} is up"),
    "path-down": ("路径 {path} 中断：{why}", "path {path} is down: {why}"),
    "path-lost": ("路径 {path}：接警台无应答", "path {path}: no receiver answers"),
    "no-answer": ("接警台无应答", "no receiver answers"),
    "path-back": ("路径 {path}：接警台恢复应答", "path {path}: a receiver answers"),
    "silent": (
        "接警台 {receiver} 已 {seconds} 秒无应答；请检查其程序和网络",
        "receiver {receiver} has been silent for {seconds} s; check its program and its network",
    ),
    "stuck": ("按钮按住超过 {limit} 秒", "button held longer than {limit} s"),
    "chatter": ("触点抖动：一分钟内超过 {limit} 次", "contact chatters: more than {limit} times in a minute"),
    "open": ("回路断线", "loop is cut"),
    "short": ("回路短路", "loop is shorted"),
}
"""Key to the sentence in (Chinese, English)."""


def say(language: str, key: str, **values: object) -> str:
    """The sentence of a key in "zh" or "en"."""
    return pick(language, WORDS[key]).format(**values)


def pick(language: str, texts: tuple[str, str]) -> str:
    """Of a text in (Chinese, English) the one in "zh" or "en"."""
    return texts[0 if language == "zh" else 1]
