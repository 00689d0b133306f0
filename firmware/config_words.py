"""What the reader of a configuration says, in Chinese and in English."""

from __future__ import annotations

from pathlib import Path

from firmware.config_text import visible
from firmware.core.chinese import chinese
from firmware.core.words import pick

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

WORDS: dict[str, tuple[str, str]] = {
    "unreadable": ("无法读取：{why}；请检查文件名和权限", "cannot be read: {why}; check the name and the rights"),
    "too-large": (
        "超过 {limit} 字节；这不是主机配置文件",
        "is larger than {limit} bytes; this is no panel's configuration",
    ),
    "not-utf8": ("第 {place} 字节不是 UTF-8；请存为 UTF-8", "is not UTF-8 at byte {place}; save it as UTF-8"),
    "not-toml": (
        "不是 TOML：{why}；文本要加引号，一个键只写一次",
        "is not TOML: {why}; a text stands in quotes, a key stands once",
    ),
    "too-deep": (
        "列表或表一层套一层，太深；主机配置最多三层，请改正",
        "has lists or tables inside each other, too many levels to read; a panel has three: correct it",
    ),
    "dotted": (
        "第 {line} 行的点超过 {limit} 个；主机配置的键没有这么多层，请改正",
        "has more than {limit} dots in line {line}; no key of a panel has so many levels: correct it",
    ),
    "long-number": (
        "第 {line} 行的数字太长，无法读取；请改正",
        "has a number in line {line} too long to read; correct it",
    ),
    "more": ("另有 {count} 处错误；请先改正以上各处", "{count} further mistake(s); correct these first"),
    "no-table": ("{where}：应为表，实为{found}", "{where}: expected a table, found {found}"),
    "no-tables": (
        "{where}：应为表 [{where}.NAME]，实为{found}",
        "{where}: expected tables [{where}.NAME], found {found}",
    ),
    "no-list": ("{where}：应为列表，实为{found}", "{where}: expected a list, found {found}"),
    "missing": ("缺少 {where}：{meaning}", "{where} is missing: {meaning}"),
    "unknown-near": ("{where}：没有这个键；是不是“{near}”？", "{where}: unknown key; did you mean '{near}'?"),
    "unknown": ("{where}：没有这个键；可用：{known}", "{where}: unknown key; there are: {known}"),
    "name": ("{where}：名称应为 {shape}", "{where}: a name is {shape}"),
    "kind": ("{where} = {value}：应为{wanted}，实为{found}", "{where} = {value}: expected {wanted}, found {found}"),
    "one-of": ("{where} = {value}：应为 {known} 之一", "{where} = {value}: expected one of {known}"),
    "least": ("{where} = {value}：最小为 {limit}", "{where} = {value}: the least is {limit}"),
    "most": ("{where} = {value}：最大为 {limit}", "{where} = {value}: the most is {limit}"),
    "length": ("{where} = {value}：最多 {limit} 个字符", "{where} = {value}: the most is {limit} characters"),
    "shape": ("{where} = {value}：应为 {shape}", "{where} = {value}: expected {shape}"),
    "bytes": ("{where} = {value}：最多 {limit} 个字节", "{where} = {value}: the most is {limit} bytes"),
    "path": (
        "{where} = {value}：应为 1 至 {limit} 个字节的文件名",
        "{where} = {value}: expected a file name of 1 to {limit} bytes",
    ),
    "unprintable": (
        "{where} = {value}：含有不可见的控制字符；请删去后重新输入",
        "{where} = {value}: holds control characters, which cannot be seen; type it again without them",
    ),
    "no-zone": (
        "没有 [zone.NAME]：没有按钮的主机保护不了任何人；请加一个",
        "no [zone.NAME]: a panel without a button protects nobody; add one",
    ),
    "no-path": ("没有 [[path]]：主机联系不上任何人；请加一个", "no [[path]]: the panel could reach nobody; add one"),
    "no-receiver": (
        "没有 [[receiver]]：无人会确认报警；请加一个",
        "no [[receiver]]: nobody would acknowledge; add one",
    ),
    "pin-twice": (
        "{where}.pin = {pin} 已被 {other} 占用；请换一个引脚",
        "{where}.pin = {pin} is taken by {other}; give one of them another pin",
    ),
    "name-twice": (
        "有两个 [[{kind}]] 都叫 {name!r}；名称只能用一次",
        "two entries [[{kind}]] are named {name!r}; a name stands once",
    ),
    "no-such-path": (
        "media.path = {name!r} 不是路径；可用：{known}",
        "media.path = {name!r} is no path; there are: {known}",
    ),
    "no-pause": (
        "alarm.resend_s 是空的；请至少给一个间隔，如 [2.0, 4.0, 5.0]",
        "alarm.resend_s is empty; give at least one pause, as [2.0, 4.0, 5.0]",
    ),
    "half-certificate": (
        "path {name}：tls.cert_file 和 tls.key_file 要么都给，要么都不给",
        "path {name}: tls.cert_file and tls.key_file belong together; give both or none",
    ),
    "no-username": (
        "path {name}：有 password_file 而没有 username；请加上用户名",
        "path {name}: password_file without username; add the user name",
    ),
    "bind-address": (
        "path {name}：bind = {bind!r} 不是本机地址；请填如 192.168.8.7，或填接口名",
        "path {name}: bind = {bind!r} is no machine's address; write it as 192.168.8.7, or name the interface",
    ),
    "bind-absent": (
        "路径 {name}：这台机器上现在没有接口 {bind}；现有 {known}",
        "path {name}: there is no interface {bind} on this machine now; there are {known}",
    ),
    "dc09-missing": (
        'path {name}：kind = "dc09" 需要表 [path.dc09]，至少写上 account 和 receiver',
        'path {name}: kind = "dc09" needs a table [path.dc09] with account and receiver',
    ),
    "dc09-stray": (
        'path {name}：有 [path.dc09] 而 kind 是 "mqtt"；请设 kind = "dc09"，或删去该表',
        'path {name}: [path.dc09] on a path of kind "mqtt"; set kind = "dc09", or remove the table',
    ),
    "dc09-mqtt-key": (
        "path {name}：{what} 属于 MQTT，DC-09 用 dc09.key_file 加密；请删去它",
        "path {name}: {what} belongs to MQTT, DC-09 encrypts by dc09.key_file; remove it",
    ),
    "dc09-port": (
        "path {name}：port = {port} 是 MQTT 的端口；请填接警中心给的端口",
        "path {name}: port = {port} is MQTT's; give the port that the receiving centre named",
    ),
    "dc09-receiver": (
        "path {name}：dc09.receiver = {receiver!r} 不是接警台；可用：{known}",
        "path {name}: dc09.receiver = {receiver!r} is no receiver; there are: {known}",
    ),
    "dc09-twice": (
        "path {name} 与 {other} 同主机、端口、bind、编号 {account}、R 和 L：是同一条路；请各设 bind，或删去一个",
        "path {name} is {other} again: one host, port, bind, account {account}, R and L; give each a bind, or drop one",
    ),
    "no-carrier": (
        '没有一条路径发送故障；请在 path {name} 设 dc09.reports = "all"，或加一条 mqtt 路径',
        'no path carries faults; set dc09.reports = "all" on path {name}, or add an mqtt path',
    ),
    "media-twice": (
        "path {name} 与 path {other} 的音视频连接身份相同，代理会轮流踢掉它们；请改一个名称",
        "path {name} has the client identity of the media of path {other}: one would throw the other out; rename one",
    ),
    "unreached": (
        "接警台 {name}：没有路径能到达；请加一条 mqtt 路径，或一条 dc09.receiver 为它的路径",
        "receiver {name}: no path reaches it; add an mqtt path, or one whose dc09.receiver names it",
    ),
    "media-dc09": (
        "media.path = {name!r} 是 DC-09 路径，不能传音视频；可用：{known}",
        "media.path = {name!r} speaks DC-09 and carries no sound or pictures; there are: {known}",
    ),
    "media-mqtt": (
        "有摄像头或麦克风，却没有 mqtt 路径传音视频；请加一条",
        "cameras or a microphone, but no mqtt path that carries sound and pictures; add one",
    ),
    "number-twice": (
        "zone.{name}.number = {number} 已被 zone.{other} 占用；请换一个编号",
        "zone.{name}.number = {number} is taken by zone.{other}; give one of them another number",
    ),
    "file": (
        "{where} = {file}：{why}；请放好文件或改正文件名",
        "{where} = {file}: {why}; put the file there or correct the name",
    ),
    "password": (
        "{where} = {file}：应只有一行密码，1 至 {limit} 个字符；请重写该文件",
        "{where} = {file}: expected the password alone, one line of 1 to {limit} characters; write the file again",
    ),
    "mistakes": ("{count} 处错误", "{count} mistake(s)"),
    "files": (
        "文件正确，但它指定的 {count} 个文件无法使用；主机照样启动，缺了它们",
        "good, but {count} of the files that it names cannot be used; a panel starts all the same, without them",
    ),
    "good": (
        "正确（防区 {zones}，路径 {paths}，接警台 {receivers}）",
        "good ({zones} zone(s), {paths} path(s), {receivers} receiver(s))",
    ),
    "note": ("注意：{text}", "note: {text}"),
    "unsigned-receiver": (
        "接警台 {name} 没有 key_file：不验签就相信它的回执，不接受它的命令",
        "receiver {name} has no key_file: its acknowledgements are believed unsigned, its commands refused",
    ),
    "unencrypted": ("路径 {name} 没有加密（没有 [path.tls]）", "path {name} is not encrypted (no [path.tls])"),
    "same-way": (
        "路径 {name} 与 {other} 走同一条路：线路一断，两条都断；请给它们不同的 bind，或换一个代理",
        "path {name} takes the way of {other}: what breaks one breaks both; give each its own bind, or another broker",
    ),
    "dots": (
        "路径 {name}：RabbitMQ 和 NATS 集群把 panel.id = {panel!r} 里的点当作分级；若连接它们，请改用“-”",
        "path {name}: for a RabbitMQ or NATS cluster the dot in panel.id = {panel!r} ends a level; write - there",
    ),
    "dc09-clear": (
        "路径 {name} 没有加密（没有 dc09.key_file）：谁都能读，也能冒充应答",
        "path {name} is not encrypted (no dc09.key_file): anybody on the way can read it and answer it",
    ),
    "dc09-hex-text": (
        "路径 {name}：密钥是 32 位十六进制数字而 key_encoding = “text”，作 32 个字符用（AES-256）；AES-128 请设“hex”",
        'path {name}: 32 hexadecimal digits with key_encoding = "text" are 32 characters (AES-256); for AES-128: "hex"',
    ),
    "dc09-patient": (
        "路径 {name}：answer_s = {answer:g} 时，有报警待发而线路已断，要 {answer:g} 秒才发现，不是 {limit:g} 秒",
        "path {name}: with answer_s = {answer:g} an alarm finds a dead connection after {answer:g} s, not {limit:g} s",
    ),
    "dc09-slow": (
        "路径 {name}：interval_s = {interval:g} 时，中断最多要 {seconds:g} 秒才报告，属 EN 50136 的 {grade}",
        "path {name}: with interval_s = {interval:g} its loss is told after up to {seconds:g} s, EN 50136 {grade}",
    ),
    "dc09-leads": (
        "路径 {name} 为主路径：故障和状态只发往接警台 {receiver}；另有 {others}，每 15 分钟才听到一次",
        "path {name} leads: faults and status go to receiver {receiver} alone; {others} is heard each 15 min",
    ),
    "unsigned-panel": ("没有 panel.key_file：报告不签名", "panel.key_file is not set: reports are not signed"),
    "few-cameras": (
        "摄像头 {count} 个：DB15/T 3968-2025 要求两个",
        "{count} camera(s): two are asked for by DB15/T 3968-2025",
    ),
    "table": ("表", "a table"),
    "list": ("列表", "a list"),
    "text": ("文本", "text"),
    "bool": ("true 或 false", "true or false"),
    "whole": ("整数", "a whole number"),
    "number": ("数", "a number"),
    "file-name": ("文件名", "a file name"),
    "date": ("日期或时间", "a date or time"),
}
"""Key to the sentence in (Chinese, English)."""


def say(language: str, key: str, **values: object) -> str:
    """The sentence of a key in "zh" or "en"; what the system said of a file is put into that language too."""
    if language == "zh" and "why" in values:
        values["why"] = chinese(str(values["why"]))
    shown = {
        name: visible(str(value)) if isinstance(value, str | Path | Exception) else value
        for name, value in values.items()
    }
    return pick(language, WORDS[key]).format(**shown)
