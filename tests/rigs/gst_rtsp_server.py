"""A network camera by GStreamer. Runs under the system's Python, which has the bindings; ends with its standard input.

Prints the port as its first line. Streams: /gate (H.264, one keyframe a second), /bare (the same, described without
parameter sets), /jpeg (motion JPEG), /sound (no picture), /locked (H.264 for user `gate`, password `s3cret`).
"""

import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - after the versions

H264 = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1 ! "
    "x264enc tune=zerolatency speed-preset=ultrafast bitrate=300 key-int-max=15 ! "
    "rtph264pay name=pay0 config-interval=1"
)
BARE = H264.replace("name=pay0 ", "") + (
    " ! capssetter name=pay0 replace=true "
    'caps="application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,payload=96"'
)
JPEG = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=15/1 ! "
    "jpegenc ! rtpjpegpay name=pay0"
)
SOUND = "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay0"


def role(name: str) -> GstRtspServer.RTSPToken:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", name)
    return token


def main() -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("gate", "s3cret"), role("gate"))
    auth.set_default_token(role("anyone"))
    server.set_auth(auth)
    for path, launch, roles in (
        ("/gate", H264, ("gate", "anyone")),
        ("/bare", BARE, ("gate", "anyone")),
        ("/jpeg", JPEG, ("gate", "anyone")),
        ("/sound", SOUND, ("gate", "anyone")),
        ("/locked", H264, ("gate",)),
    ):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {launch} )")
        factory.set_shared(True)
        permissions = GstRtspServer.RTSPPermissions()
        for name in ("gate", "anyone"):
            # Who may see but not construct is asked for a password; who may not see gets a 404.
            permissions.add_permission_for_role(name, "media.factory.access", True)  # noqa: FBT003 - C's order
            permissions.add_permission_for_role(name, "media.factory.construct", name in roles)
        factory.set_permissions(permissions)
        server.get_mount_points().add_factory(path, factory)
    if server.attach(None) == 0:
        sys.exit("the RTSP server cannot listen")
    print(server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()


main()
