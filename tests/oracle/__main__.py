"""`./dev oracle`."""

import sys

from tests.oracle.run import main

if __name__ == "__main__":
    sys.exit(main())
