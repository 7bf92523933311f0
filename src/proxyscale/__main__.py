"""`python -m proxyscale VERB`, as rules call it."""

import sys

from proxyscale.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
