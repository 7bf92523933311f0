"""Training a language model on a distribution: one order of examples for every scale.

Writes model.safetensors, curve.parquet and, last, manifest.json, which holds nothing that depends
on when or how fast the run was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from proxyscale import language, parametrization, tables
from proxyscale.errors import UserError
from proxyscale.pool import Pool
from proxyscale.progress import Progress, quantity

# The training loss is smoothed over this share of the steps, and over at least so many steps.
SMOOTH_SHARE, SMOOTH_STEPS = 0.05, 20
POINTS = 100  # of the curve
CALIBRATION = 5  # steps that are timed, after as many to warm up


def train(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    distribution: Path,
    title: str,
    threads: int | None = None,
) -> None:
    """Train one run into the folder `out`.

    `spec`: family, model (see `LanguageModel`), training (tokens, batch_tokens, learning_rate,
    hidden_learning_rate, weight_decay, betas, eps, clip, warmup, final_learning_rate, precision),
    draw, seed. `warmup` is a share of the steps, `final_learning_rate` one of the peak, `clip` the
    largest norm of the gradient. UserError if the run diverges (NaN, or smoothed loss above ln V
    after warm-up), or if the scale does not fit the pool.
    """
    language.prepare_cpu(threads)
    batches = Batches(spec, Pool.open(pool), _ids(distribution, spec["draw"]))
    run = Run(spec, len(batches))
    curve = run.train(batches, Progress(title, len(batches)))
    language.save(run.model, out / "model.safetensors")
    tables.write(out / "curve.parquet", curve, "curve")
    tables.write_manifest(
        out / "manifest.json",
        [out / "model.safetensors"],
        **run.facts(),
        epochs=round(batches.epochs, 4),
        inputs={"pool": tables.sha256(pool), "distribution": tables.sha256(distribution)},
    )


def _ids(distribution: Path, draw: int) -> np.ndarray:
    """The pool ids of one draw, in the order of the table."""
    table = tables.read(distribution, "distribution", ["draw", "example"])
    ids = table.filter(pc.equal(table["draw"], draw))["example"].to_numpy()
    if not len(ids):
        allowed = pc.unique(table["draw"]).to_pylist()
        raise UserError(f"no draw {draw}", where=str(distribution), value=draw, allowed=allowed)
    return ids


def order(ids: np.ndarray, count: int, draw: int, seed: int) -> np.ndarray:
    """The first `count` ids that a run sees: a new permutation of `ids` for every epoch.

    It depends on nothing but `ids`, `draw` and `seed`: a smaller scale sees a prefix of it.
    """
    epochs = range(-(-count // len(ids)))
    permutations = [np.random.default_rng([draw, seed, epoch]).permutation(ids) for epoch in epochs]
    return np.concatenate(permutations)[:count]


def rate_factor(step: int, steps: int, warmup: int, final: float) -> float:
    """The share of the peak rate at a step (from 0): linear warm-up, then a cosine to `final`."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))


class Batches:
    """The examples that a run sees, cut into pieces of the model's context.

    `batches[step]` is i64 [batch, context]; `epochs` the passes over `ids` that all steps take.
    """

    def __init__(self, spec: Mapping[str, Any], pool: Pool, ids: np.ndarray) -> None:
        training, self.context = spec["training"], spec["model"]["context"]
        _check(spec, pool)
        self.pool = pool
        self.batch = training["batch_tokens"] // self.context
        self.steps = training["tokens"] // training["batch_tokens"]
        self.pieces = pool.length // self.context
        count = -(-self.steps * self.batch // self.pieces)
        self.order = order(ids, count, spec["draw"], spec["seed"])
        self.epochs = self.steps * self.batch / self.pieces / len(ids)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Tensor:
        start, stop = step * self.batch, (step + 1) * self.batch
        first = start // self.pieces
        rows = self.pool.rows(self.order[first : -(-stop // self.pieces)])
        cut = torch.from_numpy(rows.astype(np.int64)).view(-1, self.context)
        return cut[start - first * self.pieces : stop - first * self.pieces]


class Run:
    """A model in training."""

    def __init__(self, spec: Mapping[str, Any], steps: int) -> None:
        self.spec, self.training, self.steps = spec, spec["training"], steps
        self.warmup = round(self.training["warmup"] * steps)
        self.device = language.device()
        self.precision = language.precision(self.training["precision"], self.device)
        self.model = language.build(spec["model"], spec["seed"]).to(self.device)
        self.parameters = list(self.model.parameters())
        self.optimizer = parametrization.optimizer(
            self.model, self.model.hidden_matrices(), self.training
        )
        self.losses = torch.zeros(steps, device=self.device)

    def train(self, batches: Batches, progress: Progress) -> pa.Table:
        """Take all steps; the curve has about a hundred points."""
        every = -(-self.steps // POINTS)
        tokens = self.training["batch_tokens"]
        points, start = [], self.clock()
        for step in range(self.steps):
            rate = self.step(step, batches[step])
            done = step + 1
            if done % every == 0 or done == self.steps:
                loss = self._check_convergence(done)
                progress.step(done, f"loss {loss:.3f}", done * tokens)
                mean = self.losses[step - step % every : done].mean().item()
                points.append((done, done * tokens, mean, rate, self.clock() - start))
        speed = quantity(self.steps * tokens / (self.clock() - start))
        progress.close(f"{self.steps} steps · loss {loss:.3f} · {speed} tok/s")
        names = tables.SCHEMAS["curve"].names
        return pa.table(dict(zip(names, map(list, zip(*points, strict=True)), strict=True)))

    def clock(self) -> float:
        """Seconds: CPU time on a CPU, whose cores are shared with other runs; else wall time."""
        return time.process_time() if self.device.type == "cpu" else time.monotonic()

    def step(self, step: int, pieces: Tensor) -> float:
        """One update on pieces [batch, context]; the learning rate of the vector-like parameters.

        The mean loss goes to `losses`, on the device, so that nothing waits for it.
        """
        pieces = pieces.to(self.device)
        with language.autocast(self.precision, self.device):
            # The last token is fed although nothing is asked of it: odd lengths are slower.
            states = self.model.hidden(pieces)[:, :-1].flatten(0, 1)
            loss = language.cross_entropy(states, self.model.readout, pieces[:, 1:].flatten())
        loss.backward()
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        final = self.training["final_learning_rate"]
        factor = rate_factor(step, self.steps, self.warmup, final)
        self.optimizer.step(factor, (norm / self.training["clip"]).clamp_(min=1.0))
        for parameter in self.parameters:
            parameter.grad = None
        self.losses[step] = loss.detach()
        return factor * self.training["learning_rate"]

    def smoothed(self, done: int) -> float:
        """Mean loss of the last steps before `done`."""
        return self.losses[max(0, done - self._window()) : done].mean().item()

    def _window(self) -> int:
        return max(SMOOTH_STEPS, round(SMOOTH_SHARE * self.steps))

    def _check_convergence(self, done: int) -> float:
        """The smoothed loss. UserError if it is not a number, or worse than knowing nothing."""
        loss, limit = self.smoothed(done), math.log(self.spec["model"]["vocabulary"])
        settled = done >= self.warmup + self._window()
        if not math.isfinite(loss) or (settled and loss > limit):
            raise UserError(
                f"training diverged at step {done}: loss {loss:.3f}, ln(vocabulary) {limit:.3f}",
                where="training.learning_rate",
                hint="lower learning_rate or hidden_learning_rate, or lengthen warmup",
            )
        return loss

    def facts(self) -> dict[str, Any]:
        """What the manifest tells of the model and its training."""
        parameters = sum(parameter.numel() for parameter in self.parameters)
        tokens = self.steps * self.training["batch_tokens"]
        return {
            **self.spec,
            "parameters": parameters,
            "tokens": tokens,
            "flops": 6 * parameters * tokens,
            "final_loss": round(self.smoothed(self.steps), 4),
            "precision": self.precision,
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
        }


def calibrate(model: Mapping[str, Any], training: Mapping[str, Any]) -> float:
    """Seconds that a run would take on this machine, from a few steps on random tokens."""
    language.prepare_cpu()
    run = Run({"model": model, "training": training, "seed": 0}, 2 * CALIBRATION)
    shape = (training["batch_tokens"] // model["context"], model["context"])
    pieces = torch.randint(model["vocabulary"], shape)
    for step in range(run.steps):
        if step == CALIBRATION:
            start = run.clock()
        run.step(step, pieces)
        run.losses[step].item()
    steps = training["tokens"] / training["batch_tokens"]
    return (run.clock() - start) / CALIBRATION * steps


def _check(spec: Mapping[str, Any], pool: Pool) -> None:
    """UserError where the scale and the pool do not fit each other."""
    model, training = spec["model"], spec["training"]
    context, batch, tokens = model["context"], training["batch_tokens"], training["tokens"]
    if pool.length % context:
        message = f"examples of {pool.length} tokens cannot be cut into contexts of {context}"
        raise UserError(message, where="context")
    if batch % context:
        message = f"a batch of {batch} tokens is no whole number of contexts of {context}"
        raise UserError(message, where="batch_tokens")
    if tokens < batch:
        raise UserError(f"{tokens} tokens are less than a batch of {batch}", where="tokens")
    if model["vocabulary"] < pool.vocabulary:
        message = f"the model's vocabulary of {model['vocabulary']} does not hold the pool's"
        raise UserError(message, where="vocabulary", hint=f"at least {pool.vocabulary}")
