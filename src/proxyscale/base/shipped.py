"""Where the workflow lies: its Snakefile, rules, profiles and studies."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def workflow_folder() -> Path:
    """The folder of the Snakefile: the checkout, or, of what was installed, one in the package."""
    checkout = PACKAGE.parents[1]
    return checkout if (checkout / "rules").is_dir() else PACKAGE / "shipped"
