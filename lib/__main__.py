"""`python -m manyfaces COMMAND`: the same as the script `manyfaces`."""

import sys

from .commands.main import entry

if __name__ == "__main__":
    sys.exit(entry())
