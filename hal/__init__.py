"""What the board can do: loops, outputs, sound, pictures, lines. No zone and no alarm is known here."""
