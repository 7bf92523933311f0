"""The figures of image studies: this module's imports register them all."""

from proxyscale.vision.figures import (
    accuracy_by_width,
    counterfactual_margins,
    influential_images,
    lds,
    score_correlation,
)

__all__ = [
    "accuracy_by_width",
    "counterfactual_margins",
    "influential_images",
    "lds",
    "score_correlation",
]
