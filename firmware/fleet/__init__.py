"""Many panels at once: their real machines over real sockets in one process, or their links alone in virtual time."""
