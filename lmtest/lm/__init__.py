"""Answerers that implement DSPy's engine contract: made up, played back, or live and written."""
