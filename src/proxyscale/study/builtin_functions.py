"""The functions that proxyscale itself registers: this module's imports register them all."""

from proxyscale.data import builtin_tasks, corpora, tasks
from proxyscale.selection import select

__all__ = ["builtin_tasks", "corpora", "select", "tasks"]
