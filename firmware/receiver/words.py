"""What the person at the desk reads, in Chinese and in English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.core.chinese import chinese
from firmware.core.words import pick

if TYPE_CHECKING:
    from collections.abc import Iterable

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

WORDS: dict[str, tuple[str, str]] = {
    "raised": ("触发", "raised"),
    "stored": ("已存储", "stored"),
    "brokered": ("已上网", "brokered"),
    "received": ("已接收", "received"),
    "accepted": ("已接警", "accepted"),
    "dispatched": ("已出警", "dispatched"),
    "arrived": ("已到场", "arrived"),
    "closed": ("已结案", "closed"),
    "silenced": ("警笛已静音", "siren silenced"),
    "alarm": ("报警", "ALARM"),
    "fault": ("故障", "fault"),
    "status": ("状态", "status"),
    "duplicate": ("重复", "again"),
    "late": ("迟到", "late"),
    "covert": ("静默", "silent"),
    "drill": ("演练", "drill"),
    "unverified": ("未验签", "unverified"),
    "reset": ("已解除", "reset"),
    "open": ("未结", "open"),
    "files": ("证据 {count} 件", "{count} files"),
    "sealed": ("已封存", "sealed"),
    "evidence": ("证据", "evidence"),
    "missing": ("缺 {names}", "missing {names}"),
    "incomplete": ("主机报告不完整", "the panel says it is incomplete"),
    "health": ("主机", "panel"),
    "online": ("在线", "online"),
    "offline": ("离线", "OFFLINE"),
    "open-incidents": ("未解除 {count}", "open {count}"),
    "pending": ("待确认 {count}", "unacknowledged {count}"),
    "result-ok": ("命令已执行", "order done"),
    "result-no": ("命令被拒", "order refused"),
    "lost": ("缺号 {epoch}/{first}–{last}", "numbers {epoch}/{first}-{last} never came"),
    "warning": ("注意", "warning"),
    "unsigned": (
        "自 {since} 起以本主机名义发来的消息没有有效签名，一律不予采信",
        "speaks without a valid signature since {since}; nothing of that is believed",
    ),
    "unsigned-alarm": ("其中有报警：请立即致电警务室核实", "an ALARM is among it: call the booth now"),
    "unsigned-other": (
        "主机本身签名正常，有人冒用其名：请检查服务器的访问权限",
        "the panel itself is heard, so somebody uses its name: look at the broker's access list",
    ),
    "unsigned-lost": (
        "主机本身最后一次有效消息在 {proved}，按失联处理；请检查警务室主机和本处的密钥文件",
        "the panel itself proved last at {proved} that it lives: treat it as lost; look at the key files on both sides",
    ),
    "unsigned-never": (
        "主机本身从未有过有效消息，按失联处理；请检查警务室主机和本处的密钥文件",
        "the panel itself has never proved that it lives: treat it as lost; look at the key files on both sides",
    ),
    "then": ("；", "; "),
    "signed-again": ("签名恢复正常（自 {since} 起曾无有效签名）", "signs validly again; it did not since {since}"),
    "link-up": ("{link} 已连接", "{link} connected"),
    "link-down": ("{link} 断开：{why}", "{link} down: {why}"),
    "reports": ("报警线路", "reports"),
    "media": ("音视频线路", "media"),
    "restored": ("重启前的未结警情 {count} 起", "{count} open incidents from before the restart"),
    "incidents": ("警情", "incidents"),
    "events": ("消息", "events"),
    "panels": ("主机", "panels"),
    "none": ("无", "none"),
    "nothing-open": ("没有可操作的警情", "no incident waits for that"),
    "reason": ("解除原因（回车发送，Esc 取消）：", "reason for the reset (Enter sends, Esc cancels): "),
    "no-reason": ("解除必须写明原因", "a reset needs a reason"),
    "keys": (
        "a 接警  d 出警  o 到场  c 结案  x 解除  q 退出",
        "a accept  d dispatch  o on scene  c close  x reset  q quit",
    ),
}
"""Key to the words in (Chinese, English)."""


class Words:
    """The words of one language, "zh" or "en"."""

    def __init__(self, language: str) -> None:
        self._language = language

    def __call__(self, key: str, **values: object) -> str:
        """The words of a key."""
        return pick(self._language, WORDS[key]).format(**values)

    def reason(self, text: str) -> str:
        """Why something is out of order, as far as there are words for it in this language."""
        return chinese(text) if self._language == "zh" else text

    def detail(self, detail: Iterable[tuple[str, object]]) -> str:
        """The further facts of a report, its reasons in this language."""
        told = ((name, self.reason(str(value)) if name in ("source", "why") else value) for name, value in detail)
        return " ".join(f"{name}={value}" for name, value in told)

    def event(self, chinese: str, english: str) -> str:
        """The one of two texts that this language has."""
        return pick(self._language, (chinese, english))
