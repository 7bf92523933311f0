"""How well small proxy models foretell what training data do to a large one."""

__version__ = "0.2.0"
