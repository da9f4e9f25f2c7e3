"""Recorded requests and what came of them: plain data, no DSPy, no HTTP."""
