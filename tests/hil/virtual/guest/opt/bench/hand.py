"""The bench's hand inside the virtual board: runs what it is told over a virtio port, one JSON object a line."""

import base64
import json
import os
import subprocess
import threading
from pathlib import Path

PORT = "/dev/virtio-ports/hand"


def main() -> None:
    """Serve until the end."""
    port = os.open(PORT, os.O_RDWR)
    lock = threading.Lock()

    def answer(words: dict) -> None:
        line = json.dumps(words).encode() + b"\n"
        with lock:
            while line:
                line = line[os.write(port, line) :]

    answer({"hello": Path("/proc/sys/kernel/random/boot_id").read_text().strip()})
    rest = b""
    while True:
        data = os.read(port, 65536)
        if not data:  # nobody on the other side
            threading.Event().wait(0.05)
            continue
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            threading.Thread(target=serve, args=(json.loads(line), answer), daemon=True).start()


def serve(order: dict, answer) -> None:
    """Do one order."""
    try:
        done = put(order) if "put" in order else run(order)
    except Exception as error:  # noqa: BLE001 - the outermost frame of this thread: whoever asked must hear what happened
        done = {"status": -1, "out": "", "err": f"{type(error).__name__}: {error}"}
    answer({"id": order["id"], **done})


def put(order: dict) -> dict:
    """Write a file, whole or not at all."""
    path = Path(order["put"])
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(base64.b64decode(order["data"]))
    fresh.chmod(order["mode"])
    os.chown(fresh, order["owner"], order["owner"])
    fresh.rename(path)
    return {"status": 0, "out": "", "err": ""}


def run(order: dict) -> dict:
    """Run a line of the shell, or leave it running."""
    if order.get("leave"):
        subprocess.Popen(
            ["/bin/sh", "-c", order["run"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return {"status": 0, "out": "", "err": ""}
    done = subprocess.run(
        ["/bin/sh", "-c", order["run"]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=order["limit_s"],
        check=False,
    )
    return {
        "status": done.returncode,
        "out": base64.b64encode(done.stdout).decode(),
        "err": done.stderr.decode("utf-8", "replace"),
    }


main()
