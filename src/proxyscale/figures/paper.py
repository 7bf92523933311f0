"""What the paper prints of its language models, for our own figures to stand beside.

Khaddaj, Engstrom and Madry, ICLR 2025, arXiv 2505.16260: sections 2 and 4, appendix A.3, Tables 9,
10, 11 and 20.
"""

from __future__ import annotations

from typing import Any, NamedTuple

VOCABULARY = 50_368  # GPT-NeoX's tokenizer, padded
LENGTH, DIMENSION = 2048, 15_360  # tokens in a pool example, dimensions of its projected gradient
EXAMPLES, TARGETS = 80_000_000, 1000  # pool and test examples of Table 9


class PaperScale(NamedTuple):
    """One of the paper's models; None where the paper says nothing."""

    width: int
    heads: int
    layers: int
    context: int
    printed_parameters: int | None
    tokens: int | None
    printed_ratio: float | None  # compute of the reference / own

    @property
    def model(self) -> dict[str, Any]:
        """The architecture in the words of a study's `model`."""
        return {
            "vocabulary": VOCABULARY,
            "context": self.context,
            "width": self.width,
            "layers": self.layers,
            "heads": self.heads,
            "mlp_ratio": 4,
            "bias": True,
            "tied": True,
            "parametrization": "standard",
        }


# The shape of 220M is inferred; the paper names the model and gives none.
SCALES = {
    "37M": PaperScale(384, 6, 10, 1024, 37_479_936, 840_000_000, 370),
    "57M": PaperScale(512, 8, 10, 1024, None, 1_160_000_000, 175),
    "80M": PaperScale(640, 10, 10, 1024, 82_127_360, 1_670_000_000, 85),
    "125M": PaperScale(768, 12, 12, 2048, 125_311_488, 2_700_000_000, 34),
    "220M": PaperScale(1024, 16, 12, 2048, None, None, None),
    "350M": PaperScale(1024, 16, 24, 2048, 355_985_408, 7_500_000_000, 4.4),
    "760M": PaperScale(1536, 12, 24, 2048, 760_470_528, 15_300_000_000, 1),
}

# Table 20, for 125M, 350M and 760M alike; what it leaves out are llm-foundry's defaults.
TRAINING = {
    "batch_tokens": 2_097_152,
    "learning_rate": 6e-4,
    "hidden_learning_rate": 6e-4,
    "weight_decay": 4e-4,
    "betas": [0.9, 0.95],
    "eps": 1e-8,
    "clip": 1.0,
    "warmup": "100 steps",  # another share of them at every scale
    "final_learning_rate": 0.1,
    "precision": "bf16",
}
HYPERPARAMETERS_OF = ("125M", "350M", "760M")


class PrintedCost(NamedTuple):
    """A row of Table 9: FLOPs as printed, which are truncated to three digits."""

    parameters: int
    trained_on: int  # examples
    training: float
    attribution: float
    overall: float
    training_share: float
    relative: float  # overall / that of 125M


TABLE9 = {
    "125M": PrintedCost(125_000_000, 1_330_000, 2.04e18, 4.30e20, 4.32e20, 0.0047, 1.00),
    "350M": PrintedCost(350_000_000, 3_680_000, 1.58e19, 1.20e21, 1.22e21, 0.0129, 2.82),
    "760M": PrintedCost(760_000_000, 7_470_000, 6.97e19, 2.62e21, 2.68e21, 0.0260, 6.21),
    "8000M": PrintedCost(8_000_000_000, 80_000_000, 7.86e21, 2.75e22, 3.53e22, 0.2222, 81.88),
}
