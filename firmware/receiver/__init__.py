"""The receiver: what stands at the 110 desk. It shares the wire modules with the panel and nothing else."""
