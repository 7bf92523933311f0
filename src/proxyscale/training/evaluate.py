"""Per-example losses of a trained run on tasks: nats per scored token, and how sure it is.

Only scored positions pass the readout, and what a model can leave out before it. Rows are batched
with others of nearly their length and padded on the right, which a causal model does not see.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
import torch.nn.functional as F
from torch import Tensor

from proxyscale.base import artifacts, seals
from proxyscale.base.paths import loss_stem
from proxyscale.base.progress import Progress
from proxyscale.base.tables import check_losses
from proxyscale.base.vouching import Vouching
from proxyscale.training import language_model, published
from proxyscale.training.model import LanguageModel
from proxyscale.training.scorer import Scorer, Trained
from proxyscale.training.shared_prompts import Shared, arranged, found

BATCH_TOKENS = 4096
ROUNDING = 1e-6  # relative: losses that differ by no more are tied
ALIGNMENT = 16  # attention is up to twice as slow on lengths that are no multiple of it


class Piece(NamedTuple):
    """Consecutive tokens of a row, of which those from `scored_from` on are predicted."""

    row: int
    tokens: np.ndarray
    scored_from: int


Cut = TypeVar("Cut", Piece, Shared)


class Measured(NamedTuple):
    """Per row: sums of losses and margins, count of scored tokens, count of greedy hits."""

    loss: np.ndarray
    margin: np.ndarray
    tokens: np.ndarray
    hits: np.ndarray


def evaluate(
    out: Path,
    run: Path,
    tasks: Mapping[str, Path],
    title: str,
    version: str,
    split: str = "holdout",
    threads: int | None = None,
    precision: str = "fp32",
) -> None:
    """Measure a run on the tasks' `split` examples into `out`/{task}.parquet, and its checkpoints
    into `out`/{task}@{share}.parquet.

    In float32 whatever it was trained in, so that losses of all scales compare, unless `precision`
    is bf16. A task whose file is there and is vouched for by `out`/manifest.json (same model, same
    task, same `version` of the code and precision, same bytes) is not measured again.
    """
    language_model.prepare_cpu(threads)
    facts = artifacts.read_json(run / "manifest.json")
    digests = {
        name: artifacts.sha256(seals.verified(folder / "manifest.json"))
        for name, folder in tasks.items()
    }
    places: dict[str, tuple[float | None, str]] = {}
    wanted = {}
    for share in (None, *facts.get("checkpoints", [])):
        weights = language_model.MODEL if share is None else language_model.KEPT
        trained = artifacts.sha256(seals.verified(run / weights))
        for name, task in digests.items():
            stem = loss_stem(name, share)
            places[stem] = share, name
            wanted[stem] = {"model": trained, "task": task, "version": version}
            wanted[stem] |= {"precision": precision} if precision != "fp32" else {}
    vouching = Vouching(out, ".parquet", wanted)
    progress, loaded = Progress(title, len(vouching.stale)), None
    for done, stem in enumerate(vouching.stale, 1):
        share, name = places[stem]
        if loaded is None or loaded[0] != share:
            loaded = share, scorer(run, facts, share, precision)
        file = out / f"{stem}.parquet"
        table = artifacts.read(tasks[name] / f"{split}.parquet", "task")
        found = judged(table, measure(loaded[1], table))
        check_losses(found, f"{title}, {stem}", facts["model"]["vocabulary"])
        artifacts.write(file, found, "run_losses")
        vouching.made(stem, file)
        progress.step(done, stem)
    if vouching.stale:
        progress.close()


def scorer(
    run: Path, facts: Mapping[str, Any], share: float | None, precision: str = "fp32"
) -> Scorer:
    """The model of a run folder with this manifest, after a share of its steps or at its end."""
    if "published" in facts:
        return published.reopened(run, facts["published"], facts["context"], precision)
    return Trained(language_model.load(run, share).to(language_model.device()), precision)


def losses(model: LanguageModel, table: pa.Table, batch_tokens: int = BATCH_TOKENS) -> pa.Table:
    """Losses of a task's examples (table of kind task → table of kind run_losses)."""
    return judged(table, measure(Trained(model), table, batch_tokens))


def judged(table: pa.Table, measured: Measured, per_byte: bool = False) -> pa.Table:
    """Losses of a task's examples out of what was measured of its rows (kind run_losses).

    An example's loss, tokens and margin are those of its gold choice. `correct`: with choices,
    whether the gold one has the lowest mean loss per token, 1/k where it ties with k − 1 others;
    with a prompt and one continuation, whether greedy decoding would give it; null for whole
    sequences. `probability`: of the whole right answer, as a share of all choices' where there are
    any. `lead`: the lowest mean loss of a wrong choice, less the right one's.

    `per_byte`: losses, margins and leads in bits per byte of the scored text instead, the right
    choice by the lowest of these, and no tokens: what models of several tokenizers may be compared
    by.
    """
    size = table["bytes"].to_numpy() * np.log(2) if per_byte else measured.tokens
    mean = measured.loss / size
    example, gold = table["example"].to_numpy(), table["gold"].to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(gold)
    _, inverse, counts = np.unique(example, return_inverse=True, return_counts=True)
    best = np.full(len(counts), np.inf)
    np.minimum.at(best, inverse, mean)
    choices = counts[inverse] > 1
    lowest = mean <= best[inverse] * (1 + ROUNDING)
    tied = np.bincount(inverse, lowest)[inverse]
    correct = np.where(choices, lowest / tied, measured.hits == measured.tokens)
    whole = ~choices & pc.equal(table["prompt"].fill_null(""), "").to_numpy()
    wrong = np.full(len(counts), np.inf)
    np.minimum.at(wrong, inverse[~gold], mean[~gold])
    return pa.table(
        {
            "example": example[rows],
            "loss": mean[rows].astype(np.float32),
            "tokens": pa.array(measured.tokens[rows], mask=np.full(len(rows), per_byte)),
            "correct": pa.array(correct[rows].astype(np.float32), mask=whole[rows]),
            "margin": (measured.margin / size)[rows].astype(np.float32),
            "probability": pa.array(
                _probability(measured.loss, inverse, choices)[rows].astype(np.float32),
                mask=whole[rows],
            ),
            "lead": pa.array((wrong[inverse] - mean)[rows].astype(np.float32), mask=~choices[rows]),
        }
    )


def _probability(loss: np.ndarray, example: np.ndarray, choices: np.ndarray) -> np.ndarray:
    """exp(−loss) of every row, where there are choices as a share of the example's: [rows]."""
    least = np.full(len(loss), np.inf)  # there are no more examples than rows
    np.minimum.at(least, example, loss)
    each = np.exp(least[example] - loss)
    shares: np.ndarray = each / np.bincount(example, each)[example]
    return np.where(choices, shares, np.exp(-loss))


def pieces(tokens: np.ndarray, scored_from: int, context: int, row: int = 0) -> Iterator[Piece]:
    """Cut a row to what the model can see; every scored token lands in exactly one piece.

    A row that is too long loses its beginning, as long as all scored tokens still fit; otherwise
    the scored part is cut into pieces, each predicted from its own beginning.
    """
    scored = len(tokens) - scored_from
    if scored <= context:
        start = max(0, len(tokens) - context - 1)
        yield Piece(row, tokens[start:], scored_from - start)
        return
    for start in range(scored_from - 1, len(tokens) - 1, context):
        yield Piece(row, tokens[start : start + context + 1], 1)


@torch.inference_mode()
def measure(model: Scorer, table: pa.Table, batch_tokens: int = BATCH_TOKENS) -> Measured:
    """Sums over the scored tokens of every row of the task; shared prompts are computed once."""
    lists = table["tokens"].combine_chunks()
    values = lists.values.to_numpy()
    starts = table["scored_from"].to_numpy().tolist()
    each = [values[start:end] for start, end in itertools.pairwise(lists.offsets.to_numpy())]
    sums = Measured(*(np.zeros(len(table), kind) for kind in (float, float, np.int64, np.int64)))
    rest, laid_out = set(range(len(table))), model.laid_out

    def there(*arrays: np.ndarray) -> list[Tensor]:
        return [torch.from_numpy(array).to(model.device) for array in arrays]

    if laid_out is not None:
        for items in _batches(found(each, starts, model.context), batch_tokens):
            laid = arranged(items, ALIGNMENT)
            tokens, at, gold = there(laid.tokens, laid.places, laid.targets)
            _add(sums, laid.rows, laid_out(tokens, at, laid.layout(model.device)), gold)
            rest.difference_update(laid.rows.tolist())
    cut = [p for row in sorted(rest) for p in pieces(each[row], starts[row], model.context, row)]
    for batch in _batches(cut, batch_tokens):
        tokens, at, gold = there(*_scored(batch, model.context))
        rows = np.repeat([p.row for p in batch], [len(p.tokens) - p.scored_from for p in batch])
        _add(sums, rows, model.logits(tokens, at), gold)
    return sums


def _add(sums: Measured, rows: np.ndarray, chunks: Iterator[Tensor], gold: Tensor) -> None:
    """Add what the logits of scored tokens say of their rows."""
    parts, done = [], 0
    for logits in chunks:
        parts.append(score(logits, gold[done : done + len(logits)]))
        done += len(logits)
    loss, margin, hit = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
    for total, value in zip(sums, (loss, margin, np.ones_like(rows), hit), strict=True):
        np.add.at(total, rows, value)


def _batches(cut: list[Cut], batch_tokens: int) -> Iterator[list[Cut]]:
    """Pieces in batches of nearly equal length and about `batch_tokens` tokens."""
    cut = sorted(cut, key=lambda piece: -len(piece.tokens))
    while cut:
        size = max(1, batch_tokens // len(cut[0].tokens))
        yield cut[:size]
        cut = cut[size:]


def _scored(batch: list[Piece], context: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens [batch, length], places [n] and targets [n] of all scored positions of a batch."""
    longest = len(batch[0].tokens) - 1
    length = min(context, -(-longest // ALIGNMENT) * ALIGNMENT)
    inputs = np.zeros((len(batch), length), np.int64)
    places, targets = [], []
    for line, piece in enumerate(batch):
        size = len(piece.tokens) - 1
        inputs[line, :size] = piece.tokens[:-1]
        places.append(line * length + np.arange(piece.scored_from - 1, size))
        targets.append(piece.tokens[piece.scored_from :])
    return inputs, np.concatenate(places), np.concatenate(targets).astype(np.int64)


def score(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss −log p, margin log(p / (1 − p)) and greedy hit of targets [n] under logits [n, V].

    Both come from the other tokens' sum alone, so that they are exact also where p rounds to one:
    with r = log Σ exp(others), the margin is z − r and the loss log(1 + exp(r − z)). Overwrites the
    logits.
    """
    targets = targets[:, None]
    gold = logits.gather(1, targets)
    highest = logits.scatter_(1, targets, -torch.inf).amax(1, keepdim=True)
    hit = (gold > highest)[:, 0]
    tied = (gold == highest)[:, 0]
    # A tie is decided as argmax does: the first of the highest.
    hit[tied] = (logits[tied] == highest[tied]).int().argmax(1) > targets[tied][:, 0]
    # By log-softmax, whose kernel is twice as fast as that of logsumexp.
    rest = highest - torch.log_softmax(logits, 1).amax(1, keepdim=True)
    return F.softplus(rest - gold)[:, 0], (gold - rest)[:, 0], hit
