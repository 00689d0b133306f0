"""Addresses as people may see them."""

import pytest

from hal.urls import masked


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.5:554/ch1", "rtsp://10.0.0.5:554/ch1"),
        ("rtsp://admin@10.0.0.5/ch1", "rtsp://admin@10.0.0.5/ch1"),
        ("rtsp://admin:s3cret@10.0.0.5/ch1", "rtsp://admin:****@10.0.0.5/ch1"),
        ("rtsp://admin:p@ss:w@rd@10.0.0.5/ch1", "rtsp://admin:****@10.0.0.5/ch1"),
        ("rtsp://:s3cret@10.0.0.5/", "rtsp://:****@10.0.0.5/"),
        (
            "rtsp://10.0.0.5/user=admin&password=s3cret&channel=1",
            "rtsp://10.0.0.5/user=admin&password=****&channel=1",
        ),
        ("rtsp://10.0.0.5/live?Token=s3cret", "rtsp://10.0.0.5/live?Token=****"),
        ("/dev/video0", "/dev/video0"),
    ],
)
def test_no_password_is_shown(url, shown):
    assert masked(url) == shown
