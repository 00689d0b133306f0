"""The demonstration: an embedded broker, two desks and a panel on the simulated board, each a process of its own."""
