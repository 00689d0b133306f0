"""The wire: the only place where reports, receipts and commands are dictionaries and bytes."""
