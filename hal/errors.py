"""Errors of the hardware layer: one root, each leaf also the builtin that a caller expects."""


class HalError(Exception):
    """Root of every error that a board can raise."""


class DeviceLost(HalError, OSError):  # noqa: N818 - the field's words, and "lost" is a state
    """A device that was there no longer answers, or was never found."""


class PinInUse(HalError, ValueError):  # noqa: N818 - gpiozero's word for the same thing
    """Two parties claimed one pin; the message names both."""


class NotSupported(HalError, NotImplementedError):  # noqa: N818
    """This board or device cannot do what was asked."""
