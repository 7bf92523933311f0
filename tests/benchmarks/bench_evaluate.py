"""Per-example losses beside a naive loop.

The naive loop computes all logits and takes log-softmax and gather, as most evaluation scripts do,
with torch's own linear maps: one example after another, or in batches of 32 padded to their
longest. Its losses are compared with ours.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from bench_train import CONTEXT, SHAPES, VOCABULARY, model_spec
from timing import Row, Work, compared, in_turns
from torch.nn.utils.rnn import pad_sequence

from proxyscale.base import artifacts
from proxyscale.training import evaluate, language_model

# The share of rows that are scored as a whole; in the default study 1,400 of 6,300 are.
KINDS = {"whole": 1.0, "prompt": 0.0, "default": 1400 / 6300, "choices": None}
EXAMPLES, CHOICES, PROMPT, ANSWER = 400, 4, 96, 8


def model(width: int, layers: int) -> language_model.LanguageModel:
    """A model with random weights and the default study's form."""
    spec = model_spec(width, layers) | {"parametrization": "standard"}
    return language_model.build(spec, seed=0).eval()


def task(examples: int, whole_share: float) -> pa.Table:
    """Whole rows of the context's length, and prompts of any length with a short continuation."""
    generator = np.random.default_rng(0)
    rows = []
    for example in range(examples):
        whole = example < whole_share * examples
        length = CONTEXT if whole else int(generator.integers(24, CONTEXT + 1))
        start = 1 if whole else length - int(generator.integers(2, 20))
        tokens = generator.integers(0, VOCABULARY, length).tolist()
        named = {"example": example, "choice": 0, "gold": True, "scored_from": start}
        rows.append({**named, "tokens": tokens, "prompt": "" if whole else "p"})
    return artifacts.conform(pa.Table.from_pylist(rows), "task")


def choices(examples: int) -> pa.Table:
    """Prompts of one length, each with as many answers, the first of them right."""
    generator = np.random.default_rng(0)
    rows = []
    for example in range(examples):
        prompt = generator.integers(0, VOCABULARY, PROMPT).tolist()
        for choice in range(CHOICES):
            tokens = [*prompt, *generator.integers(0, VOCABULARY, ANSWER).tolist()]
            named = {"example": example, "choice": choice, "gold": not choice, "prompt": "p"}
            rows.append({**named, "scored_from": PROMPT, "tokens": tokens})
    return artifacts.conform(pa.Table.from_pylist(rows), "task")


@torch.no_grad()
@torch.backends.mkldnn.flags(enabled=False, allow_tf32=None)
def naive(model: language_model.LanguageModel, table: pa.Table, batch: int) -> np.ndarray:
    """Mean loss over the scored tokens of every row that is right; all are computed."""
    rows, found = table.to_pylist(), []
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        tokens = pad_sequence([torch.tensor(row["tokens"]) for row in part], batch_first=True)
        log = torch.log_softmax(model(tokens[:, :-1]), dim=-1)
        chosen = log.gather(2, tokens[:, 1:, None])[..., 0]
        for row, losses in zip(part, chosen, strict=True):
            found.append(-losses[row["scored_from"] - 1 : len(row["tokens"]) - 1].mean().item())
    return np.array(found)[table["gold"].to_numpy(zero_copy_only=False)]


def measured(rounds: int) -> Iterator[Row]:
    """Rows a second of every size and kind of test set. AssertionError where losses differ."""
    language_model.prepare_cpu(1)
    for size in ("20k", "0.1M", "1M"):
        for kind, whole_share in KINDS.items():
            few = EXAMPLES // CHOICES
            table = choices(few) if whole_share is None else task(EXAMPLES, whole_share)
            network, found = model(*SHAPES[size]), {}
            works = {
                name: functools.partial(_kept, found, name, work)
                for name, work in {
                    "": functools.partial(evaluate.losses, network, table),
                    "one by one": functools.partial(naive, network, table, 1),
                    "padded batches": functools.partial(naive, network, table, 32),
                }.items()
            }
            seconds = in_turns(rounds, *works.values())
            own = found[""]["loss"].to_numpy()
            for name in list(works)[1:]:
                np.testing.assert_allclose(own, found[name], atol=1e-4)
            said = f"losses {size}, {kind}"
            yield from compared(said, "rows", len(table), seconds, list(works)[1:])


def _kept(found: dict[str, Any], name: str, work: Work) -> None:
    found[name] = work()
