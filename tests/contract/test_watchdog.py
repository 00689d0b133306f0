"""What every watchdog promises; the real one against a datagram socket as systemd's."""

import logging
import os
import socket
import threading

import pytest

from hal.mock.watchdog import MockWatchdog
from hal.pi.watchdog import SystemdWatchdog


class Supervisor:
    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(5)

    def messages(self, count):
        return [self.socket.recv(4096).decode() for _ in range(count)]


@pytest.fixture(params=["path", "abstract"])
def supervised(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"@gatebooth-test-{os.getpid()}"
    supervisor = Supervisor(name.replace("@", "\0"))
    yield SystemdWatchdog({"NOTIFY_SOCKET": name}), supervisor
    supervisor.socket.close()


def speak(watchdog):
    watchdog.ready()
    watchdog.pet()
    watchdog.status("armed\n2 zones")
    watchdog.close()
    watchdog.close()
    watchdog.pet()


def test_the_supervisor_hears_ready_pets_status_and_one_goodbye(supervised):
    watchdog, supervisor = supervised
    speak(watchdog)
    assert supervisor.messages(4) == ["READY=1", "WATCHDOG=1", "STATUS=armed 2 zones", "STOPPING=1"]
    supervisor.socket.settimeout(0)
    with pytest.raises(BlockingIOError):
        supervisor.socket.recv(4096)


def test_the_mock_takes_the_same_notes():
    watchdog = MockWatchdog()
    speak(watchdog)
    assert watchdog.messages == ["READY=1", "STATUS=armed 2 zones", "STOPPING=1"]
    assert watchdog.pets == 1


def test_without_a_supervisor_nothing_is_sent_and_it_says_so_once(caplog):
    caplog.set_level(logging.INFO)
    watchdog = SystemdWatchdog({})
    speak(watchdog)
    assert not watchdog.supervised
    assert caplog.text.count("NOTIFY_SOCKET is not set") == 1


def test_a_supervisor_that_is_gone_stops_nobody_and_is_logged_once(tmp_path, caplog):
    watchdog = SystemdWatchdog({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    for _ in range(3):
        watchdog.pet()
    assert caplog.text.count("takes no messages") == 1


def test_a_supervisor_that_does_not_read_blocks_nobody(tmp_path):
    supervisor = Supervisor(str(tmp_path / "notify"))
    watchdog = SystemdWatchdog({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    petting = threading.Thread(target=lambda: [watchdog.pet() for _ in range(10_000)], daemon=True)
    petting.start()
    petting.join(5)
    assert not petting.is_alive()
    assert supervisor.messages(1) == ["WATCHDOG=1"]
    supervisor.socket.close()
