"""Generated from proto/python_worker/v1 by scripts/generate_proto.py; never edited."""
