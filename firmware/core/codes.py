"""Event codes: SIA DC-03/DC-04 letters with the SIA DC-05 (Contact ID) number beside each.

The table is the single place where a code gets its class and its words. Sources: the SIA code list as public receivers
use it, and SIA DC-05 for the numbers; a restore is the same number with qualifier 3.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ReportClass(enum.StrEnum):
    """What a report is; alarms have storage and slots on the link that no other class can take."""

    ALARM = "alarm"
    FAULT = "fault"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of event.

    Attributes:
        sia: Two letters.
        cid: Contact ID event number.
        restore: Whether the Contact ID qualifier is 3 (restore) and not 1 (new event).
        cls: Class of the report.
        en: English words.
        zh: Chinese words.
    """

    sia: str
    cid: int
    restore: bool
    cls: ReportClass
    en: str
    zh: str


_A, _F, _S = ReportClass.ALARM, ReportClass.FAULT, ReportClass.STATUS

CODES: dict[str, Code] = {
    code.sia: code
    for code in (
        Code("PA", 120, False, _A, "panic alarm", "紧急报警"),
        Code("PH", 120, True, _S, "panic button released", "紧急按钮复位"),
        Code("PR", 465, False, _A, "panic alarm reset", "紧急报警解除"),
        Code("PT", 380, False, _F, "panic loop trouble", "紧急回路故障"),
        Code("PJ", 380, True, _F, "panic loop trouble over", "紧急回路故障恢复"),
        Code("HA", 122, False, _A, "hold-up alarm", "劫持报警"),
        Code("HH", 122, True, _S, "hold-up button released", "劫持按钮复位"),
        Code("HR", 465, False, _A, "hold-up alarm reset", "劫持报警解除"),
        Code("HT", 380, False, _F, "hold-up loop trouble", "劫持回路故障"),
        Code("HJ", 380, True, _F, "hold-up loop trouble over", "劫持回路故障恢复"),
        Code("TA", 144, False, _A, "tamper alarm", "防拆报警"),
        Code("TH", 144, True, _S, "tamper contact closed", "防拆触点复位"),
        Code("TR", 144, True, _A, "tamper alarm reset", "防拆报警解除"),
        Code("TT", 380, False, _F, "tamper loop trouble", "防拆回路故障"),
        Code("TJ", 380, True, _F, "tamper loop trouble over", "防拆回路故障恢复"),
        Code("YC", 350, False, _F, "path to receiver lost", "传输路径中断"),
        Code("YK", 350, True, _F, "path to receiver restored", "传输路径恢复"),
        Code("YX", 300, False, _F, "service needed", "设备故障"),
        Code("YZ", 300, True, _F, "fault cleared", "设备故障恢复"),
        Code("JO", 624, False, _F, "reports dropped", "记录溢出丢弃"),
        Code("RR", 305, False, _S, "panel started", "主机启动"),
        Code("LE", 606, True, _S, "evidence sealed", "证据封存"),
    )
}
