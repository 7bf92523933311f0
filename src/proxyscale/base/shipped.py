"""Where the workflow lies: its Snakefile, rules, profiles and studies.

The package's folder `shipped` holds them: in a wheel as files, in the checkout as links to them.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def workflow_folder() -> Path:
    """The folder of the Snakefile: the checkout, or one of what was installed."""
    return (PACKAGE / "shipped" / "Snakefile").resolve().parent
