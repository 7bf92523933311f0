"""Artifacts of tasks with texts that try to break out of a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from proxyscale.base import artifacts

# What moves HTML's parser between the states of a script's data, and a template's marks.
STATES = "<!-- <script> <!--<script </script > --> </SCRIPT\n> <![CDATA[ ]]> <!-->"
TRICKY = f"</script><b>&amp; “quoted”\n\tand `$title` ${{js}} {STATES}"


def task_folder(folder: Path, starts: Sequence[int] | None = None) -> Path:
    """A task's artifact with 25 examples, four choices each, of whose prompts a token is read."""
    rows = [
        {
            **{"example": example, "choice": choice, "gold": choice == 2, "tokens": [1, 2]},
            **{"scored_from": 1, "prompt": f"prompt {example} {TRICKY}"},
            "prompt_starts": starts,
            "continuation": f"choice {choice} of {example}",
        }
        for example in range(25)
        for choice in range(4)
    ]
    table = pa.Table.from_pylist(rows, artifacts.SCHEMAS["task"])
    artifacts.write(folder / "holdout.parquet", table, "task")
    counts = {"holdout": {"records": 40, "kept": 25, "in_pool": 9}}
    artifacts.write_json(folder / "manifest.json", {"kind": "prompt", "counts": counts})
    return folder
