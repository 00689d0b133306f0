"""What every clock promises."""

import time

import pytest

import hal.clock
from hal.clock import SystemClock
from hal.mock.clock import VirtualClock


@pytest.fixture(params=[SystemClock, VirtualClock], ids=["system", "virtual"])
def clock(request):
    return request.param()


def test_monotonic_time_never_runs_backwards(clock):
    moments = [clock.now().mono_s for _ in range(1000)]
    assert moments == sorted(moments)


def test_the_system_clock_tells_this_machines_time():
    moment = SystemClock().now()
    assert abs(moment.utc_s - time.time()) < 60
    assert abs(moment.mono_s - time.monotonic()) < 60


def test_synchronization_is_asked_for_once_in_five_seconds(mocker):
    kernel = mocker.patch("hal.clock.kernel_synced", return_value=True)
    mono = mocker.patch("hal.clock.time.monotonic", return_value=100.0)
    clock = SystemClock()
    assert [clock.now().synced for _ in range(50)] == [True] * 50
    assert kernel.call_count == 1
    kernel.return_value = False
    mocker.patch.object(hal.clock, "TIMESYNC_FILE", mocker.Mock(exists=lambda: False))
    mono.return_value = 105.0
    assert clock.now().synced is False


def test_the_sign_of_the_time_daemon_counts_where_the_kernel_may_not_be_asked(mocker, tmp_path):
    mocker.patch("hal.clock.kernel_synced", return_value=False)
    sign = tmp_path / "synchronized"
    mocker.patch.object(hal.clock, "TIMESYNC_FILE", sign)
    assert SystemClock().now().synced is False
    sign.touch()
    assert SystemClock().now().synced is True


@pytest.mark.parametrize(("answer", "synced"), [(0, True), (5, False), (-1, False)])
def test_the_kernels_answer_is_read_as_its_manual_says(mocker, answer, synced):
    mocker.patch("hal.clock._libc.adjtimex", return_value=answer, create=True)
    assert hal.clock.kernel_synced() is synced


def test_virtual_time_passes_only_when_told_and_the_wall_clock_follows():
    clock = VirtualClock(mono_s=10.0, utc_s=1000.0)
    clock.advance(2.5)
    assert (clock.now().mono_s, clock.now().utc_s) == (12.5, 1002.5)
    clock.advance_to(20.0)
    assert (clock.now().mono_s, clock.now().utc_s) == (20.0, 1010.0)


def test_the_wall_clock_may_be_set_without_touching_durations():
    clock = VirtualClock(mono_s=10.0)
    clock.set_utc(0.0)
    clock.synced = False
    clock.advance(1.0)
    assert (clock.now().mono_s, clock.now().utc_s, clock.now().synced) == (11.0, 1.0, False)


def test_virtual_time_refuses_to_run_backwards():
    clock = VirtualClock(mono_s=10.0)
    with pytest.raises(ValueError, match=r"cannot go back by 1\.0 s"):
        clock.advance_to(9.0)
