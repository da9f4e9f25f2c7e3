"""The commands of ``python -m python_worker`` beside ``serve``."""
