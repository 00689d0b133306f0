"""A glance at a camera's picture now and then: does it show anything, and does it still move?

A camera that sends pictures is not a camera that sees. A covered lens and a hung sensor deliver as ever; only the
picture tells. One keyframe in some seconds is decoded, and nothing of it is kept but a hash and two brightnesses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.media.codecs import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.media.codecs import Codecs, Sight
    from hal.types import VideoFormat

GAPS_S = (5.0, 7.0)
"""Between two glances, by turns: a source that repeats itself every few seconds is not met at the same place again."""
BLANK_RANGE = 6
"""Darkest and brightest part of a picture are so near, of 255, when it shows nothing."""
BLANK_LOOKS = 3
FROZEN_LOOKS = 6
"""Some 40 s without one changed pixel. A live sensor's noise changes some in every picture."""


class Glance:
    """Looks at one camera.

    Args:
        camera: Its name.
        codecs: Makes the decoder.
        complain: Tells a trouble: source and why.
        relent: Tells the end of a trouble.

    Synchronization: one thread.
    """

    def __init__(
        self, camera: str, codecs: Codecs, complain: Callable[[str, str], None], relent: Callable[[str], None]
    ) -> None:
        self._camera = camera
        self._codecs = codecs
        self._complain = complain
        self._relent = relent
        self._looks = 0
        self._due_s = 0.0
        self._last: Sight | None = None
        self._since_s = 0.0
        self._blank = self._same = 0

    def see(self, video: VideoFormat, keyframe: bytes, now_s: float) -> None:
        """Take a keyframe; it is decoded when a glance is due. One that cannot be decoded is no sight at all."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + GAPS_S[self._looks % len(GAPS_S)]
        self._looks += 1
        try:
            decoder = self._codecs.still(video)
            decoder.feed(keyframe)
            sight = decoder.sight()
        except CodecError:
            return
        if sight is not None:
            self._judge(sight, now_s)

    def _judge(self, sight: Sight, now_s: float) -> None:
        same = self._last is not None and sight.digest == self._last.digest
        self._same = self._same + 1 if same else 1
        if not same:
            self._since_s = now_s
        self._blank = self._blank + 1 if sight.brightest - sight.darkest <= BLANK_RANGE else 0
        self._last = sight
        camera, source = self._camera, f"picture {self._camera}"
        if self._blank >= BLANK_LOOKS:
            self._complain(
                source, f"camera {camera}: its picture is one even surface; is the lens covered, or is it dark?"
            )
        elif self._same >= FROZEN_LOOKS:
            seconds = round(now_s - self._since_s)
            self._complain(
                source, f"camera {camera}: not one pixel changed for {seconds} s; it hangs: switch it off and on"
            )
        elif not (self._blank or same):
            self._relent(source)
