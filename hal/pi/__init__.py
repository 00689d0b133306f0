"""Backends for Raspberry-Pi-class hardware, one file a port."""
