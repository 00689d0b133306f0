"""The sense box: MicroPython for a Pico, copied to it as main.py. Eight inputs, told over USB at every change.

A line is `INPUT LEVEL`; `?` asks for all of them. Inputs are GP2 to GP9, pulled up, joined to ground by an optocoupler
across each load: level 1 is a load that has power.
"""

import select
import sys

from machine import Pin

INPUTS = tuple(range(2, 10))


def tell(pin, number):
    """Say one level."""
    print(number, 1 - pin.value())


def main(lines=sys.stdin):
    """Tell changes for ever, and everything when asked."""
    pins = {number: Pin(number, Pin.IN, Pin.PULL_UP) for number in INPUTS}
    levels = dict.fromkeys(pins)
    poll = select.poll()
    poll.register(lines, select.POLLIN)
    while True:
        asked = bool(poll.poll(1)) and lines.readline()
        if asked == "":
            return
        for number, pin in pins.items():
            level = pin.value()
            if asked or level != levels[number]:
                levels[number] = level
                tell(pin, number)


if __name__ == "__main__":
    main()
