"""Make the environment that the Makefile's commands run in, or say in one line why not and how to mend it.

    python3 scripts/setup .venv                                      # exactly what constraints.txt pins
    python3 scripts/setup .venv-newest --resolution highest          # the newest releases that pyproject.toml allows
    python3 scripts/setup .venv-oldest --resolution lowest-direct    # its lower bounds
    python3 scripts/setup --pythons                                  # list the Pythons here that lmtest supports

Python 3.6 can read this file, to say that it is too old.
"""

import argparse
import sys
from pathlib import Path

from pythons import pythons, unsupported


def main() -> int:
    """Do what the command line asks; the exit code, 2 where that cannot be done."""
    parser = argparse.ArgumentParser(description="Make the environment that the Makefile's commands run in.")
    parser.add_argument("folder", nargs="?", default=".venv", type=Path, help="where; .venv by default")
    parser.add_argument("--resolution", choices=("highest", "lowest-direct"), help="choose versions, ignore the lock")
    parser.add_argument("--pythons", action="store_true", help="list the Pythons here that lmtest supports")
    options = parser.parse_args()
    if options.pythons:
        print("\n".join(pythons().values()))
        return 0
    refusal = unsupported()
    if refusal:
        return failed(refusal)
    from environment import make
    from packages import SetupFailed

    try:
        make(options.folder, options.resolution)
    except SetupFailed as failure:
        return failed(str(failure))
    except KeyboardInterrupt:
        print("lmtest: stopped. Run the same command to start again.", file=sys.stderr)
        return 130
    return 0


def failed(why: str) -> int:
    """Print why there is no environment."""
    print(f"lmtest: {why}.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
