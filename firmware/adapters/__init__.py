"""Adapters: they obey the core's effects and post what came of them as facts."""
