"""Where the project lies."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
ROTARY = ROOT / "tests" / "support" / "rotary_plugin.py"  # an architecture of a user's own
