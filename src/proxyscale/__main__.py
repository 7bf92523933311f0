"""`python -m proxyscale VERB`, as rules call it."""

import sys

from proxyscale.base import job_server


def main() -> int:
    """Have the workflow's server of jobs do it, or do it here."""
    job_server.set_threads(sys.argv[1:])
    code = job_server.run(sys.argv[1:])
    if code is None:
        from proxyscale.cli.main import main as here

        return here()
    return code


if __name__ == "__main__":
    sys.exit(main())
