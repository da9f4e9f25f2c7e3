"""``python -m lmtest`` is the ``lmtest`` command."""

from lmtest.cli import main

if __name__ == "__main__":
    main()
