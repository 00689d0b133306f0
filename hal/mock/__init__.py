"""Devices that behave: pressed, cut, lost and found again by a script. Used by simulator, demo and tests."""
