"""What stands for srun on two nodes: starts a command twice here; the worst exit code is its own.

python tests/support/two_nodes.py COMMAND …
"""

from __future__ import annotations

import subprocess
import sys


def main(command: list[str]) -> int:
    """Both end when one fails, as srun does with --kill-on-bad-exit."""
    nodes = [subprocess.Popen(command) for _ in range(2)]
    codes = []
    for node in nodes:
        codes.append(node.wait())
        if codes[-1]:
            for other in nodes:
                other.kill()
    return max(map(abs, codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
