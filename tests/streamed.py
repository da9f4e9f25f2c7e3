"""What DSPy streams of a field, on every release that lmtest takes."""

from importlib.metadata import version


def whole(pieces):
    """Join a field's pieces; DSPy 3.4.0 streams the ends of its line too, which belong to no field."""
    text = "".join(pieces)
    return text.strip() if version("dspy") == "3.4.0" else text
