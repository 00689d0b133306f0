"""The reasons of troubles in Chinese: the panel's parts write English, a person may read Chinese.

Reports carry the English sentence, so that every receiver and every log can be searched for the same words; where one
is shown to somebody who reads Chinese it is looked up here. What is not found stays as it is: better that than nothing.
"""

from __future__ import annotations

import functools
import re

from firmware.core import chinese_path_reasons, chinese_reasons

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

REASONS = chinese_reasons.REASONS.rstrip() + chinese_path_reasons.REASONS

NAMES = """
loop {}
    回路 {}
edges of loop {}
    回路 {} 的边沿
output {}
    输出 {}
zone {} stuck
    防区 {} 卡住
zone {} chatter
    防区 {} 抖动
zone {} open
    防区 {} 断线
zone {} short
    防区 {} 短路
path {}
    路径 {}
path {} receiver
    路径 {} 的接警台
path {} clock
    路径 {} 的接警台时钟
path {} reports
    路径 {} 的故障和状态
path {} input
    路径 {} 的来信
path {} certificate
    路径 {} 的证书
path {} resolver
    路径 {} 的域名解析
receiver {}
    接警台 {}
receiver {} key
    接警台 {} 的密钥
panel key
    主机密钥
camera {}
    摄像头 {}
camera {} at {}
    摄像头 {}（{}）
picture {}
    摄像头 {} 的画面
microphone
    话筒
microphone {}
    话筒 {}
loudspeaker {}
    扬声器 {}
journal
    日志
journal damage
    日志损坏
console
    控制台
console {}
    控制台 {}
media
    音视频
configuration
    配置
adapter {}
    部件 {}
days
    天
h
    小时
min
    分钟
s
    秒
32, 48 or 64
    32、48 或 64
16, 24 or 32
    16、24 或 32
loop {} on pin GPIO{}
    引脚 GPIO{1} 上的回路 {0}
output {} on pin GPIO{}
    引脚 GPIO{1} 上的输出 {0}
"""
"""What troubles are about. Their parts hold no colon, so that `camera gate: …` is a camera and a reason."""

_COLON = ": "
_ANY, _NO_COLON = "(.+?)", "((?:(?!: ).)+?)"


def sentences(table: str) -> dict[str, str]:
    """Every English sentence of a table with its Chinese; `{}` is whatever the panel put there."""
    lines = table.strip().splitlines()
    return {english: translation.strip() for english, translation in zip(lines[::2], lines[1::2], strict=True)}


def chinese(text: str) -> str:
    """A reason in Chinese, as far as it is known; what the panel put into it is looked up as well."""
    whole = _whole(text)
    return _by_colon(text) if whole is None else whole


def _whole(text: str) -> str | None:
    for pattern, translation in _patterns():
        found = pattern.fullmatch(text)
        if found:
            return translation.format(*map(chinese, found.groups()))
    return None


def _by_colon(text: str) -> str:
    """A place, a colon and a reason: each for itself."""
    place = text.find(_COLON)
    while place >= 0:
        head, tail = text[:place], text[place + len(_COLON) :]
        translated = _whole(head) or head, chinese(tail)
        if translated != (head, tail):
            return "：".join(translated)
        place = text.find(_COLON, place + 1)
    return text


@functools.cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """The sentences as patterns, those with the most words of their own first."""
    known = [(english, translation, _ANY) for english, translation in sentences(REASONS).items()]
    known += [(english, translation, _NO_COLON) for english, translation in sentences(NAMES).items()]
    known.sort(key=lambda entry: -len(entry[0].replace("{}", "")))
    return [(_pattern(english, part), translation) for english, translation, part in known]


def _pattern(english: str, part: str) -> re.Pattern[str]:
    return re.compile(part.join(map(re.escape, english.split("{}"))), re.DOTALL)
