"""What pytest is told before it collects: the harness for tests of a plugin, and where no tests of ours are."""

pytest_plugins = ["pytester"]

collect_ignore = ["python_worker/v1"]  # generated
