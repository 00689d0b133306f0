"""The panel's configuration as frozen data; the TOML file is read by `firmware.config_file`.

Each field's metadata carries what the reference pages in `docs/` print and what the reader checks: its meaning in two
languages, bounds, whether the value may hold a secret. All durations are seconds unless the name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from firmware.config_dc09 import Dc09Config
from firmware.config_key import key
from firmware.config_text import MQTT_TEXT_MAX
from firmware.core.effects import Role
from firmware.core.zone import ZoneType
from firmware.wire.fields import NAME_PATTERN, PANEL_PATTERN

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

NAME = NAME_PATTERN.pattern
"""What a zone, output, camera, path or receiver may be called: it stands in topics and file names."""
NAME_SHAPE = (
    "1 至 32 个字符，取自 a-z 0-9 _ -，以字母或数字开头",
    "1 to 32 of a-z 0-9 _ -, beginning with a letter or digit",
)
PANEL_SHAPE = (
    "1 至 64 个字符，取自 A-Z a-z 0-9 _ . -，以字母或数字开头",
    "1 to 64 of A-Z a-z 0-9 _ . -, beginning with a letter or digit",
)
# No part of a name is empty or longer than 63 characters (RFC 1035, 2.3.4): the resolver could not ask for it.
HOST = (
    r"(?!.*\.\.|(.*\.)?[^.]{64})[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?"
    r"|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]{1,15})?"
)
HOST_SHAPE = (
    "单独的主机名或地址，不带 mqtt://、端口和空格",
    "a host name or address alone, without mqtt://, port and spaces",
)
BIND = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]{1,15})?|"
BIND_SHAPE = (
    "网络接口名（至多 15 个字符，如 eth0、wwan0）或本机地址（如 192.168.8.7）",
    "a network interface (up to 15 characters, as eth0 or wwan0) or an address of this machine (as 192.168.8.7)",
)
DEGREES_SHAPE = ('带引号的度数，如 "36.4789"', 'degrees in quotes, as "36.4789"')
CAMERA = r"rtsps?://(\S*@)?[^@/:\s][^@\s]*|/dev/(video|v4l/)\S*|test:"
CAMERA_SHAPE = (
    "rtsp://主机/路径、rtsps://主机/路径、/dev/video0、/dev/v4l/by-id/… 或 test:",
    "rtsp://HOST/PATH, rtsps://HOST/PATH, /dev/video0, /dev/v4l/by-id/… or test:",
)
SOUND = r"test:|(?!test:|file:|https?:|rtsps?:|/).+"
SOUND_SHAPE = ("声卡名称或其一部分，或 test:", "a sound device's name or a part of it, or test:")
PORT_SHAPE = ("/dev/ 下的串口设备", "a serial device below /dev/")


@dataclass(frozen=True, slots=True)
class PanelConfig:
    """`[panel]`: who and where this panel is."""

    id: str = key(
        "Identity on the wire; one panel in the world has it.",
        "线路上的身份，全世界只有这一台主机使用。",
        pattern=PANEL_PATTERN.pattern,
        shape=PANEL_SHAPE,
    )
    state_dir: Path = key("Folder for journal and evidence; made when absent.", "存放日志和证据的文件夹，没有则新建。")
    board: str = key(
        '"pi" for real pins, "mock" for the simulated board.',
        "“pi”为真实引脚，“mock”为模拟板。",
        "pi",
        choices=("pi", "mock"),
    )
    key_file: Path | None = key(
        "File with the panel's signing key: 64 hexadecimal digits, mode 0600.",
        "主机签名密钥文件：64 位十六进制数字，权限 0600。",
        None,
    )
    name: str = key("The school's name as the desk shows it.", "接警台显示的学校名称。", "", high=200)
    address: str = key("Postal address and gate, for the responders.", "地址和校门，供出警人员使用。", "", high=200)
    latitude: str = key(
        "Degrees north, WGS 84, as text.",
        "北纬度数，WGS 84，文本。",
        "",
        pattern=r"-?(90(\.0{1,8})?|[0-8]?\d(\.\d{1,8})?)|",
        shape=DEGREES_SHAPE,
    )
    longitude: str = key(
        "Degrees east, WGS 84, as text.",
        "东经度数，WGS 84，文本。",
        "",
        pattern=r"-?(180(\.0{1,8})?|(1[0-7]\d|\d{1,2})(\.\d{1,8})?)|",
        shape=DEGREES_SHAPE,
    )
    language: str = key("What guard and technician read.", "保安和技术员所读的语言。", "zh", choices=("zh", "en"))


@dataclass(frozen=True, slots=True)
class ZoneConfig:
    """`[zone.NAME]`: one loop and what its alarm means. Every zone here is a 24-hour zone."""

    pin: int = key("GPIO number (BCM).", "GPIO 编号（BCM）。", low=0, high=53)
    type: ZoneType = key(
        "panic (audible), hold-up (silent) or tamper.", "panic（有声紧急）、hold-up（静默劫持）或 tamper（防拆）。"
    )
    contact: str = key(
        '"closes": pressed joins pin and ground; "opens": pressed breaks it.',
        "“closes”：按下时引脚接地；“opens”：按下时断开。",
        "closes",
        choices=("closes", "opens"),
    )
    debounce_ms: int = key(
        "How long a level must hold to count.", "电平保持多久才算数（消抖）。", 30, low=5, high=500, unit="ms"
    )
    stuck_s: float = key(
        "A button held this long is reported as stuck; its alarm stays.",
        "按住超过此时间报告为卡住；报警不受影响。",
        120.0,
        low=5,
        high=3600,
        unit="s",
    )
    number: int | None = key(
        "Number of the zone at alarm receivers (DC-09); without it the lowest free one, in the order of the file.",
        "防区在报警接收机上的编号（DC-09）；不填则按文件顺序取最小的空号。",
        None,
        low=1,
        high=999,
    )


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """`[output.NAME]`: one relay or lamp."""

    pin: int = key("GPIO number (BCM).", "GPIO 编号（BCM）。", low=0, high=53)
    role: Role = key(
        "siren, strobe, lamp (chain of receipt), path-lamp or trouble-lamp.",
        "siren（警笛）、strobe（警灯）、lamp（回执灯）、path-lamp（线路灯）或 trouble-lamp（故障灯）。",
    )
    active_high: bool = key("Whether the pin is high when on.", "接通时引脚是否为高电平。", default=True)


@dataclass(frozen=True, slots=True)
class SounderConfig:
    """`[sounder]`: what the booth hears."""

    siren_s: float = key(
        "Bell cut-off: the siren falls silent after this long, the strobe stays; a new press sounds again.",
        "警笛鸣响时限：到时静音，警灯继续；再次按下则再次鸣响。",
        180.0,
        low=0,
        high=3600,
        unit="s",
    )


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """`[path.tls]` inside a `[[path]]`: encryption of that path."""

    ca_file: Path = key("Certificate of the authority that signed the broker's.", "签发代理证书的机构的证书。")
    cert_file: Path | None = key("This panel's certificate.", "本主机的证书。", None)
    key_file: Path | None = key("The private key of `cert_file`.", "`cert_file` 的私钥。", None)


@dataclass(frozen=True, slots=True)
class PathConfig:
    """`[[path]]`: one way to the receivers."""

    name: str = key("Name in reports and on the console.", "报告和控制台中的名称。", pattern=NAME, shape=NAME_SHAPE)
    host: str = key(
        "Host name or address of the broker or receiver.",
        "代理或接收机的主机名或地址。",
        high=253,
        pattern=HOST,
        shape=HOST_SHAPE,
    )
    kind: str = key(
        '"mqtt" to a broker, "dc09" to an alarm receiver (SIA DC-09), described by [path.dc09].',
        "“mqtt”连接代理，“dc09”连接报警接收机（SIA DC-09，见 [path.dc09]）。",
        "mqtt",
        choices=("mqtt", "dc09"),
    )
    port: int = key("TCP port of the broker or receiver.", "代理或接收机的 TCP 端口。", 8883, low=1, high=65535)
    bind: str = key(
        "Network interface or own address by which this path leaves, as wwan0; empty: the routing table chooses.",
        "此路径所走的网络接口或本机地址，如 wwan0；留空则由路由表决定。",
        "",
        high=64,
        pattern=BIND,
        shape=BIND_SHAPE,
    )
    protocol: str = key('MQTT version: "5" or "3.1.1".', "MQTT 版本：“5”或“3.1.1”。", "5", choices=("5", "3.1.1"))
    username: str = key("User name at the broker.", "在代理上的用户名。", "", bytes=MQTT_TEXT_MAX)
    password_file: Path | None = key("File that holds the password, mode 0600.", "存放密码的文件，权限 0600。", None)
    tls: TlsConfig | None = key(
        "Encryption; without it the broker must be on this machine or in a tunnel.",
        "加密；不加密时代理必须在本机或隧道内。",
        None,
    )
    dc09: Dc09Config | None = key(
        'Who the panel is to an alarm receiver, for kind = "dc09".',
        '主机对报警接收机的身份，用于 kind = "dc09"。',
        None,
    )
    keepalive_s: int = key("MQTT keep-alive.", "MQTT 保活间隔。", 15, low=5, high=600, unit="s")
    window: int = key(
        "Reports under way at once; 4 places are kept for alarms.",
        "同时在途的报告数，其中 4 个位置留给报警。",
        16,
        low=5,
        high=16,
    )
    scatter_s: float = key(
        "After a broker's death idle panels spread over this time: 30 is at most 5 % of them in any second, "
        "16 about 8 %, but no path loss told for a restart of 2 s.",
        "代理中断后，没有报警的主机在此时间内随机重连：30 时任何一秒至多 5%；16 时约 8%，代理重启 2 秒不报路径中断。",
        30.0,
        low=5,
        high=300,
        unit="s",
    )
    events_hz: float = key(
        "Faults and status reports a second at the most: after an outage no receiver has a queue in front of an alarm.",
        "每秒最多发送的故障和状态报告数：断线恢复后，报警前面不会排队。",
        1000.0,
        low=1,
        high=100000,
        unit="Hz",
    )


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """`[[receiver]]`: a machine that must acknowledge every alarm for itself."""

    name: str = key(
        "Name that signs its acknowledgements, as 110 or station.",
        "签署其回执的名称，如 110 或 station。",
        pattern=NAME,
        shape=NAME_SHAPE,
    )
    key_file: Path | None = key(
        "File with the key shared with this receiver; without it no command is taken from it.",
        "与该接警台共用的密钥文件；没有则不接受它的命令。",
        None,
    )


@dataclass(frozen=True, slots=True)
class AlarmConfig:
    """`[alarm]`: how an unacknowledged alarm is repeated."""

    resend_s: tuple[float, ...] = key(
        "Pauses before each repetition; the last goes on for ever.",
        "每次重发前的间隔，最后一个一直沿用。",
        (2.0, 4.0, 5.0),
        low=0.5,
        high=60,
        unit="s",
    )


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """`[journal]`: room for what must survive. Everything is preallocated at first start."""

    alarm_kib: int = key("Ring of the alarms.", "报警环的大小。", 2048, low=256, high=65536, unit="KiB")
    event_kib: int = key(
        "Ring of faults and status reports.", "故障和状态报告环的大小。", 8192, low=256, high=262144, unit="KiB"
    )


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """`[camera.NAME]`: one source of pictures."""

    url: str = key(
        "A network camera, a V4L2 device (by-id names survive renumbering), or test: for the moving test picture.",
        "网络摄像头、V4L2 设备（by-id 名称不因重新编号而变），或 test:（活动测试图像）。",
        high=500,
        pattern=CAMERA,
        shape=CAMERA_SHAPE,
        secret=True,
    )
    transport: str = key("How RTSP travels.", "RTSP 的传输方式。", "tcp", choices=("tcp", "udp"))
    width: int = key(
        "Wanted width of a V4L2 or test camera.", "V4L2 或测试摄像头的宽度。", 1280, low=64, high=3840, unit="pixel"
    )
    height: int = key(
        "Wanted height of a V4L2 or test camera.",
        "V4L2 或测试摄像头的高度。",
        720,
        low=64,
        high=2160,
        unit="pixel",
    )
    rate_hz: int = key(
        "Wanted pictures a second of a V4L2 or test camera.",
        "V4L2 或测试摄像头每秒的图像数。",
        15,
        low=1,
        high=60,
        unit="Hz",
    )


@dataclass(frozen=True, slots=True)
class MicrophoneConfig:
    """`[microphone]`: the booth's sound."""

    device: str = key(
        "Name of the sound device (part of it is enough), or test: for the synthesised voice.",
        "声卡名称（一部分即可），或 test:（合成语音）。",
        pattern=SOUND,
        shape=SOUND_SHAPE,
    )
    rate_hz: int = key("Samples a second.", "每秒采样数。", 16000, choices=(8000, 16000, 48000), unit="Hz")


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """`[media]`: how much sound and picture belongs to an incident."""

    pre_roll_s: float = key(
        "Kept in memory before an alarm.", "报警前保存在内存中的时长。", 30.0, low=0, high=120, unit="s"
    )
    stills_s: float = key(
        "One picture a second is sent for this long.",
        "每秒发送一张图片，持续此时长。",
        60.0,
        low=1,
        high=3600,
        unit="s",
    )
    capture_s: float = key(
        "Capture ends by itself after this long.", "取证自动结束的时长。", 1800.0, low=10, high=7200, unit="s"
    )
    clip_s: float = key(
        "A clip is closed and sent after this long past the alarm; the next begins.",
        "报警后经过此时长封闭并发送一段录像，随即开始下一段。",
        60.0,
        low=2,
        high=600,
        unit="s",
    )
    quota_mib: int = key(
        "Room for evidence on disk; the oldest delivered incident goes first.",
        "证据可用的磁盘空间；最早且已送达的警情先删除。",
        2048,
        low=16,
        high=1048576,
        unit="MiB",
    )
    path: str = key(
        "Path whose broker carries sound and pictures; empty: the first.",
        "由哪条路径的代理传送声音和图像；留空为第一条。",
        "",
    )


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """`[console]`: the technician's serial line."""

    port: str = key(
        "Serial device, as /dev/ttyAMA0.",
        "串口设备，如 /dev/ttyAMA0。",
        high=200,
        pattern=r"/dev/\S+",
        shape=PORT_SHAPE,
    )
    baud: int = key("Bits a second.", "每秒位数。", 115200, choices=(9600, 19200, 38400, 57600, 115200))


@dataclass(frozen=True, slots=True)
class Config:
    """A whole panel."""

    panel: PanelConfig = key("Who and where this panel is.", "这台主机是谁，在哪里。")
    zone: dict[str, ZoneConfig] = key(
        "The loops and what their alarms mean; all are 24-hour zones.", "各回路及其报警含义；都是 24 小时防区。"
    )
    path: tuple[PathConfig, ...] = key("The ways to the receivers.", "通往接警台的路径。")
    receiver: tuple[ReceiverConfig, ...] = key(
        "Machines that must acknowledge every alarm, each for itself.", "必须各自确认每条报警的接警台。"
    )
    output: dict[str, OutputConfig] = key("Relays and lamps.", "继电器和灯。", dict)
    sounder: SounderConfig = key("What the booth hears.", "岗亭听到的声音。", SounderConfig)
    alarm: AlarmConfig = key("How an unacknowledged alarm is repeated.", "未确认的报警如何重发。", AlarmConfig)
    journal: JournalConfig = key(
        "Room for what must survive; preallocated.", "必须保存之物的空间；预先分配。", JournalConfig
    )
    media: MediaConfig = key(
        "How much sound and picture belongs to an incident.", "一次警情的声音和图像。", MediaConfig
    )
    camera: dict[str, CameraConfig] = key("Sources of pictures.", "图像来源。", dict)
    microphone: MicrophoneConfig | None = key("The booth's sound.", "岗亭的声音。", None)
    console: ConsoleConfig | None = key("The technician's serial line.", "技术员的串口。", None)
