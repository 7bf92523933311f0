"""The functions that proxyscale itself registers: this module's imports register them all."""

from proxyscale.data import builtin_tasks, corpora, task_kinds
from proxyscale.figures import registered as figures
from proxyscale.selection import select

__all__ = ["builtin_tasks", "corpora", "figures", "select", "task_kinds"]
