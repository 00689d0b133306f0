"""The media child: rings, evidence and live sound, in a process that may die at any moment."""
