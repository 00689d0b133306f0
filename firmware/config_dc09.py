"""The configuration of a path that speaks SIA DC-09."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from firmware.config_key import key
from firmware.wire.fields import NAME_PATTERN

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

ACCOUNT_SHAPE = (
    "3 至 16 位十六进制数字 0-9 A-F，由接警中心分配",
    "3 to 16 hexadecimal digits 0-9 A-F, as the receiving centre assigned them",
)
NUMBER = r"[0-9A-Fa-f]{1,6}"
NUMBER_SHAPE = ("1 至 6 位十六进制数字", "1 to 6 hexadecimal digits")
TEXT = r"[ -Z\\^-{}~]*"
TEXT_SHAPE = (
    "不含 [ ] | 的 ASCII 字符：接收机不懂汉字，请用拼音或英文",
    "ASCII without [ ] |: receivers know no other letters",
)
URL = r"(https?://([!-Z\\^-z~]|\{(panel|epoch|seq)\})+)?"
URL_SHAPE = (
    "http:// 或 https:// 网址，其中可用 {panel}、{epoch} 和 {seq}",
    "an http:// or https:// address, in which {panel}, {epoch} and {seq} are filled in",
)


@dataclass(frozen=True, slots=True)
class Dc09Config:
    """`[path.dc09]` inside a `[[path]]` of kind "dc09": who the panel is to an alarm receiver."""

    account: str = key(
        "Account at the receiving centre.",
        "在接警中心的用户编号。",
        pattern=r"[0-9A-Fa-f]{3,16}",
        shape=ACCOUNT_SHAPE,
    )
    receiver: str = key(
        "Name of the [[receiver]] that answers on this path: its ACK is that receiver's receipt.",
        "此路径上应答的 [[receiver]] 的名称：它的 ACK 就是该接警台的回执。",
        pattern=NAME_PATTERN.pattern,
        shape=("某个 [[receiver]] 的名称", "the name of a [[receiver]]"),
    )
    protocol: str = key(
        "SIA letters or Contact ID numbers.",
        "SIA 字母码或 Contact ID 数字码。",
        "SIA-DCS",
        choices=("SIA-DCS", "ADM-CID"),
    )
    key_file: Path | None = key(
        "File with the AES key, mode 0600; without it frames go in clear.",
        "AES 密钥文件，权限 0600；没有则明文发送。",
        None,
    )
    key_encoding: str = key(
        'How the key is written: "hex" 32, 48 or 64 hexadecimal digits; "text" 16, 24 or 32 characters, its bytes.',
        "密钥的写法：“hex”为 32、48 或 64 位十六进制数字；“text”为 16、24 或 32 个字符，字符本身就是密钥字节。",
        "hex",
        choices=("hex", "text"),
    )
    interval_s: float = key(
        "A link test (NULL) follows any other frame after this long; a path that dies in between is told 9 s later. "
        "For EN 50136: up to 11 s is within 20 s (SP6), 81 s within 90 s (SP5, DP4), 171 s within 3 min (SP4, DP3), "
        "1791 s within 30 min (SP3, DP2).",
        "任何一帧之后经过此时间发送链路测试（NULL）；其间线路中断，再过 9 秒报告。"
        "按 EN 50136：不超过 11 秒在 20 秒之内（SP6），81 秒在 90 秒之内（SP5、DP4），171 秒在 3 分钟之内（SP4、DP3），"
        "1791 秒在 30 分钟之内（SP3、DP2）。",
        10.0,
        low=5,
        high=3600,
        unit="s",
    )
    answer_s: float = key(
        "The receiver must answer within this time, or the connection counts as dead; over 3 s alarms find that later.",
        "接收机须在此时间内应答，否则视为连接已断。超过 3 秒时，有报警待发也要到那时才发现。",
        3.0,
        low=1,
        high=8,
        unit="s",
    )
    reports: str = key(
        'What goes over this path: "alarms", or "all" also faults and status while it leads.',
        "此路径发送的内容：“alarms”只发报警；“all”在它为主路径时也发故障和状态。",
        "alarms",
        choices=("alarms", "all"),
    )
    receiver_number: str = key(
        "Receiver number (R), if the centre asks for one.",
        "接收机编号（R），接警中心要求时填写。",
        "0",
        pattern=NUMBER,
        shape=NUMBER_SHAPE,
    )
    prefix: str = key(
        "Account prefix (L), if the centre asks for one.",
        "用户编号前缀（L），接警中心要求时填写。",
        "0",
        pattern=NUMBER,
        shape=NUMBER_SHAPE,
    )
    text: str = key(
        "Name of the booth, sent with each report (extended data I).",
        "岗亭名称，随每条报告发送（扩展数据 I）。",
        "",
        high=100,
        pattern=TEXT,
        shape=TEXT_SHAPE,
    )
    evidence_url: str = key(
        "Where the centre finds sound and pictures of the incident (extended data V).",
        "接警中心查看该警情音视频的网址（扩展数据 V）。",
        "",
        high=120,
        pattern=URL,
        shape=URL_SHAPE,
    )
