"""The command line. Every command's module is imported only when it is asked for: a panel must be armed in 300 ms."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "run": ("firmware.run", "run the panel", "运行报警主机"),
    "watch": ("firmware.receiver.watch", "be the receiver at the desk", "作为接警台"),
    "demo": ("firmware.demo.main", "show the whole chain on this machine", "演示完整流程"),
    "check-config": ("firmware.check_config", "check a configuration file", "检查配置文件"),
    "keys": ("firmware.keys", "make signing keys", "生成签名密钥"),
    "journal": ("firmware.journal_cli", "show what the journal keeps", "查看日志"),
    "fleet": ("firmware.fleet.main", "run many panels", "模拟大量主机"),
    "simulate": ("firmware.sim.main", "play a scenario in virtual time", "虚拟时间回放场景"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    chosen = arguments[0] if arguments else ""
    parser = argparse.ArgumentParser(
        prog="gatebooth", description="alarm panel of a school's gate booth 校园警务室报警主机"
    )
    parser.add_argument("--version", action="store_true", help="print the version 显示版本")
    if chosen == "--version":
        sys.stdout.write(f"gatebooth {importlib.import_module('firmware.version').own_version()}\n")
        return 0
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, english, chinese) in COMMANDS.items():
        sub = commands.add_parser(name, help=f"{english} {chinese}", description=f"{english} {chinese}")
        if name == chosen:
            importlib.import_module(module).add_arguments(sub)
    args = parser.parse_args(arguments)
    try:
        status: int = importlib.import_module(COMMANDS[args.command][0]).main(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output went away: nothing more is wanted
        sys.stdout = None
        return 0
    return status


if __name__ == "__main__":
    sys.exit(main())
