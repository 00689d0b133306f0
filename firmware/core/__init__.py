"""The pure core: facts in, effects out. No I/O, clock, thread or randomness is used in this package."""
