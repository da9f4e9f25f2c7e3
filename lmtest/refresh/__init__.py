"""Recording again what is due, and saying what drifted."""
