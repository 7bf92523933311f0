"""The figures that proxyscale itself registers: this module's imports register them all."""

from proxyscale.figures import (
    decision_frontier,
    example_losses,
    influential_texts,
    loss_correlation,
    proposed_mixture,
    r2_by_accuracy,
    r2_by_compute,
    r2_histogram,
    score_agreement,
    selection_gains,
    task_prompts,
    training_curves,
)

__all__ = [
    "decision_frontier",
    "example_losses",
    "influential_texts",
    "loss_correlation",
    "proposed_mixture",
    "r2_by_accuracy",
    "r2_by_compute",
    "r2_histogram",
    "score_agreement",
    "selection_gains",
    "task_prompts",
    "training_curves",
]
