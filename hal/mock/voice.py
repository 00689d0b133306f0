"""A voice without a speaker: 救命 (jiù mìng, "help!"), made by a small formant synthesiser.

A pulse train at the pitch, or noise, goes through resonators at the formants of the sound being spoken (the source and
filter model of speech). It gives codecs, level meters and ears something to work on that is speech-like, the same at
every run, and nobody's recording.
"""

from __future__ import annotations

import array
import functools
import math
from dataclasses import dataclass
from typing import Final

_STEP_S: Final = 0.005
"""How often pitch, loudness and formants move."""
_PEAK: Final = 16000
"""Loudest sample: half of full scale."""


@dataclass(frozen=True, slots=True)
class _Sound:
    """One speech sound; values glide from those of the sound before, frequencies in Hz, loudness 0 to 1."""

    length_s: float
    pitch: float
    voiced: float
    hiss: float
    f1: float
    f2: float
    f3: float


def _pause(length_s: float, like: _Sound) -> _Sound:
    return _Sound(length_s, like.pitch, 0.0, 0.0, like.f1, like.f2, like.f3)


# Formants as phonetics textbooks give them for a woman's voice; 4th tone: the pitch falls.
_J: Final = _Sound(0.09, 290, 0.0, 0.50, 300, 2500, 3300)
_I: Final = _Sound(0.07, 300, 0.9, 0.02, 310, 2600, 3300)
_O: Final = _Sound(0.13, 250, 1.0, 0.01, 520, 1000, 2700)
_U: Final = _Sound(0.12, 185, 0.7, 0.01, 350, 800, 2600)
_M: Final = _Sound(0.08, 285, 0.4, 0.00, 250, 1100, 2300)
_I2: Final = _Sound(0.15, 270, 1.0, 0.01, 330, 2500, 3200)
_NG: Final = _Sound(0.15, 180, 0.4, 0.00, 270, 1900, 2700)
_A: Final = _Sound(0.35, 230, 1.0, 0.02, 850, 1350, 2800)
_HELP: Final = (_J, _I, _O, _U, _pause(0.04, _M), _M, _I2, _NG)
_SCRIPT: Final = (
    *_HELP,
    _A,
    _pause(0.06, _A),
    _pause(0.40, _J),
    *_HELP,
    _pause(0.06, _NG),
    _pause(0.61, _J),
)


class _Resonator:
    """A second-order filter with one peak; gain 1 at 0 Hz."""

    def __init__(self, rate_hz: int, width_hz: float) -> None:
        self._radius = math.exp(-math.pi * width_hz / rate_hz)
        self._turn = 2 * math.pi / rate_hz
        self._y1 = self._y2 = 0.0
        self.tune(0.0)

    def tune(self, peak_hz: float) -> None:
        self._b = 2 * self._radius * math.cos(self._turn * peak_hz)
        self._c = -self._radius * self._radius
        self._a = 1 - self._b - self._c

    def run(self, x: float) -> float:
        y = self._a * x + self._b * self._y1 + self._c * self._y2
        self._y2, self._y1 = self._y1, y
        return y


class _Throat:
    """Pulses and noise through the formants, one sample after another."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._glottis = _Resonator(rate_hz, 800)
        self._formants = (_Resonator(rate_hz, 80), _Resonator(rate_hz, 110), _Resonator(rate_hz, 160))
        self._teeth = _Resonator(rate_hz, 900)
        self._teeth.tune(min(5000.0, rate_hz * 0.4))
        self._phase = 0.0
        self._seed = 1
        self._before = 0.0

    def speak(self, sound: _Sound, samples: int) -> list[float]:
        for formant, peak_hz in zip(self._formants, (sound.f1, sound.f2, sound.f3), strict=True):
            formant.tune(peak_hz)
        step = sound.pitch / self._rate_hz
        return [self._sample(step, sound) for _ in range(samples)]

    def _sample(self, step: float, sound: _Sound) -> float:
        self._phase += step
        pulse = 0.0
        if self._phase >= 1.0:
            self._phase -= 1.0
            pulse = 1.0 / step
        # A linear congruential generator (Numerical Recipes' constants): noise that is the same at every run.
        self._seed = (1664525 * self._seed + 1013904223) & 0xFFFFFFFF
        noise = self._seed / 0x80000000 - 1.0
        voice = self._glottis.run(pulse * sound.voiced + noise * sound.voiced * 2.0)
        for formant in self._formants:
            voice = formant.run(voice)
        out = voice + self._teeth.run(noise * sound.hiss) * 0.25
        # Lips radiate the change of pressure.
        change, self._before = out - self._before, out
        return change


def _between(start: _Sound, end: _Sound, part: float) -> _Sound:
    def mix(a: float, b: float) -> float:
        return a + (b - a) * part

    return _Sound(
        end.length_s,
        mix(start.pitch, end.pitch),
        mix(start.voiced, end.voiced),
        mix(start.hiss, end.hiss),
        mix(start.f1, end.f1),
        mix(start.f2, end.f2),
        mix(start.f3, end.f3),
    )


@functools.lru_cache(maxsize=3)
def speak(rate_hz: int) -> bytes:
    """Two calls for help with pauses, as signed 16-bit little-endian mono samples.

    Args:
        rate_hz: Samples a second; a whole number of 20 ms blocks comes out.

    Synchronization: any thread; the result is made once a rate and kept.
    """
    throat = _Throat(rate_hz)
    wave: list[float] = []
    before = _pause(0.0, _J)
    for sound in _SCRIPT:
        steps = round(sound.length_s / _STEP_S)
        for step in range(steps):
            # Each sound reaches its target after half its length and holds it.
            part = min(1.0, 2.0 * (step + 1) / steps)
            wave += throat.speak(_between(before, sound, part), round(rate_hz * _STEP_S))
        before = sound
    return _to_pcm(wave, rate_hz)


def _to_pcm(wave: list[float], rate_hz: int) -> bytes:
    block = rate_hz // 50
    wave += [0.0] * (-len(wave) % block)
    scale = _PEAK / max(map(abs, wave))
    return array.array("h", (round(sample * scale) for sample in wave)).tobytes()
