"""Pure values and rules: no storage, no transport, no DSPy."""
