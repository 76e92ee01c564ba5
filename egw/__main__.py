"""`python -m egw`."""

import sys

from egw.main import main

if __name__ == "__main__":
    sys.exit(main())
