"""Gatebooth: firmware of the alarm panel in a school's gate booth."""
