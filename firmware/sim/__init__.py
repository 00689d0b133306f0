"""The whole application on the mock board in virtual time, driven by text scenarios."""
