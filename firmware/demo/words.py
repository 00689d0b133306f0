"""What the demonstration says, in Chinese and in English."""

from __future__ import annotations

from firmware.core.words import pick

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

WORDS: dict[str, tuple[str, str]] = {
    "title": ("Gatebooth 演示：岗亭一键报警", "Gatebooth: one press in a simulated gate booth"),
    "starting": ("正在启动：代理、110、派出所、主机……", "starting: broker, 110 desk, station desk, panel ..."),
    "waiting": (
        "主机已就绪，正在缓存报警前的声音和图像……",
        "the panel is armed and keeps the last seconds of sound and pictures in memory ...",
    ),
    "ready": ("就绪。按空格键按下报警按钮", "ready. SPACE presses the panic button"),
    "alone": ("无人值守：由演示程序按下按钮", "nobody is at the keys: the demonstration presses by itself"),
    "pressed": ("按钮已按下：{zone}", "pressed: {zone}"),
    "resetting": ("110 解除报警，封存证据", "the 110 desk resets the alarm; evidence is sealed"),
    "open": ("报警未解除。a 接警，r 解除", "the alarm is open. a accepts it, r resets it"),
    "sealed": ("证据已封存", "evidence is sealed"),
    "proved": (
        "{count} 个文件均可播放，哈希与主机签名的清单一致（清单共 {listed} 个）",
        "{count} files play, and their hashes are those that the panel signed ({listed} in its manifest)",
    ),
    "kept": ("证据保存在 {folder}", "evidence stays in {folder}"),
    "failed": ("演示失败：{why}", "the demonstration failed: {why}"),
    "keys": ("空格 按下  a 接警  r 解除  q 退出", "SPACE press  a accept  r reset  q quit"),
    "chain": ("回执链（自按下起的毫秒）", "chain of receipt (milliseconds since the press)"),
    "evidence": ("110 收到的证据", "evidence at the 110 desk"),
    "trouble": ("故障", "trouble"),
    "raised": ("触发", "raised"),
    "stored": ("存储", "stored"),
    "brokered": ("上网", "brokered"),
    "received": ("接收", "received"),
    "accepted": ("接警", "accepted"),
    "dispatched": ("出警", "dispatched"),
    "arrived": ("到场", "arrived"),
    "closed": ("结案", "closed"),
    "still": ("图片", "still"),
    "clip": ("录像", "clip"),
    "sound": ("声音", "sound"),
    "offer": ("发现{what}：{name}。用它吗？[y/N] ", "there is a {what}: {name}. Use it? [y/N] "),
    "a-microphone": ("声卡", "sound card"),
    "a-camera": ("摄像头", "camera"),
    "no-pyaudio": (
        "发现声卡，但没有安装 PyAudio（make .venv/dev 会装上），使用合成语音",
        "there is a sound card, but PyAudio is not installed (make .venv/dev brings it): the synthesised voice is used",
    ),
}
"""Key to the words in (Chinese, English)."""


def say(language: str, key: str, **values: object) -> str:
    """The words of a key in "zh" or "en"."""
    return pick(language, WORDS[key]).format(**values)
