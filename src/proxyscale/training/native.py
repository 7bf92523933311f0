"""Training a language model on a distribution: the native engine.

Writes model.safetensors, curve.parquet and, last, manifest.json, which holds nothing that depends
on when or how fast the run was.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torch.distributed
from torch import Tensor, nn

from proxyscale.base import artifacts, seals
from proxyscale.base.errors import UserError
from proxyscale.base.progress import Progress, quantity
from proxyscale.data.pool import Pool
from proxyscale.registry import engine
from proxyscale.training import language_model, parametrization, sharding
from proxyscale.training.batches import Batches, draw_ids
from proxyscale.training.checkpoint import Checkpoint
from proxyscale.training.curve import Curve
from proxyscale.training.model import LanguageModel
from proxyscale.training.run_records import write_records

CALIBRATION = 5  # steps that are timed, after as many to warm up
MINE = "kept/"  # begins the names of kept weights in what an interrupted run goes on from
# How a run is executed, which changes nothing of its result but the rounding.
PLAIN: Mapping[str, Any] = {
    "gpus": 0,
    "nodes": 1,
    "sharded": False,
    "micro_batch_tokens": None,
    "compile": False,
    "checkpoint_minutes": None,
}


def train(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    distribution: Path,
    title: str,
    execution: Mapping[str, Any] = PLAIN,
    threads: int | None = None,
) -> None:
    """Train one run into the folder `out`; go on where an interrupted one left a checkpoint.

    `spec`: family, model (see `language_model.build`), training (tokens, batch_tokens,
    learning_rate, hidden_learning_rate, weight_decay, betas, eps, clip, warmup,
    final_learning_rate, precision), draw, seed, perhaps checkpoints (shares of the steps after
    which the weights are kept, in kept.safetensors) and order (see `Batches`). `warmup` is a
    share of the steps, `final_learning_rate` one of the peak, `clip` the largest norm of the
    gradient. `execution`: see `PLAIN`. Under torchrun every process takes its share of each batch,
    `sharded` also of the weights and moments, and the first writes. UserError if the run diverges
    (NaN, or smoothed loss above ln V after warm-up), if the scale does not fit the pool, or if
    there are fewer GPUs than processes.
    """
    language_model.prepare_cpu(threads)
    inputs = {"pool": artifacts.sha256(pool), "distribution": artifacts.sha256(distribution)}
    batches = Batches(spec, Pool.open(pool), draw_ids(distribution, spec["draw"]))
    with _processes() as (rank, world):
        run = Run(spec, len(batches), execution, rank, world)
        minutes = execution["checkpoint_minutes"] if rank == 0 else None
        checkpoint = Checkpoint(out, [spec, inputs, torch.__version__, world], minutes)
        stream = None if rank == 0 else open(os.devnull, "w")  # noqa: SIM115
        run.train(batches, Progress(title, len(batches), stream), checkpoint)
        weights = sharding.gathered(language_model.weights(run.model), keep=rank == 0)
        if rank == 0:
            language_model.save(weights, out / language_model.MODEL)
            run.save_kept(out / language_model.KEPT)
            write_records(out, run.curve, run.precision, batches.epochs, spec, inputs)
            checkpoint.remove()


@contextlib.contextmanager
def _processes() -> Any:
    """(rank, number) of this process among those that torchrun started; (0, 1) without it."""
    if not torch.distributed.is_torchelastic_launched():
        yield 0, 1
        return
    if torch.cuda.is_available():
        asked, found = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if found < asked:
            raise UserError(f"{asked} GPUs of this node are asked for, and {found} are seen")
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield torch.distributed.get_rank(), torch.distributed.get_world_size()
    finally:
        torch.distributed.destroy_process_group()


class Objective(nn.Module):
    """The mean loss of a model on pieces i64 [batch, context] → a scalar."""

    def __init__(self, model: LanguageModel, precision: str, compiled: bool) -> None:
        super().__init__()
        self.model, self.precision = model, precision
        self.hidden = torch.compile(model.hidden) if compiled else model.hidden

    def forward(self, pieces: Tensor) -> Tensor:
        with language_model.autocast(self.precision, pieces.device):
            # The last token is fed although nothing is asked of it: odd lengths are slower.
            states = self.hidden(pieces)[:, :-1].flatten(0, 1)
            targets, bias = pieces[:, 1:].flatten(), self.model.readout_bias
            return language_model.cross_entropy(states, self.model.readout, targets, bias)


class Run:
    """A model in training, in this process alone or as one of `world`, which hold the same or,
    `sharded`, each a part."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        steps: int,
        execution: Mapping[str, Any] = PLAIN,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.training, self.steps = spec["training"], steps
        self.rank, self.world = rank, world
        self.rows = _rows_at_once(spec, execution, world)
        self.device = language_model.device()
        self.precision = language_model.precision(self.training["precision"], self.device)
        self.sharded = world > 1 and execution["sharded"]
        compiled = execution["compile"]
        self.model = language_model.build(spec["model"], spec["seed"])
        self.objective: nn.Module = Objective(
            self.model, self.precision, compiled and not self.sharded
        )
        if self.sharded:
            sharding.shard(self.objective, self.model, self.device, compiled)
        else:
            self.objective.to(self.device)
            if world > 1:
                self.objective = nn.parallel.DistributedDataParallel(self.objective)
        self.parameters = list(self.model.parameters())
        self.optimizer = parametrization.optimizer(
            self.model, self.model.hidden_matrices(), self.training
        )
        self.curve = Curve(spec, steps, self.device)
        self.losses = self.curve.losses
        shares = spec.get("checkpoints", [])
        self.due = {f"{share:g}/": max(1, round(share * steps)) for share in shares}
        self.kept: dict[str, Tensor] = {}  # weights at those steps, on the first's CPU

    def train(self, batches: Batches, progress: Progress, checkpoint: Checkpoint) -> None:
        """Take all steps, or those that a checkpoint has left."""
        first, before = self._resume(checkpoint.load())
        tokens, start = self.training["batch_tokens"], self.clock()
        for step in range(first, self.steps):
            self.step(step, torch.from_numpy(batches[step].astype(np.int64)))
            done, seconds = step + 1, before + self.clock() - start
            self._keep(done)
            if self.curve.due(done):
                loss = self.curve.check(done)
                self.curve.points.append((done, seconds))
                progress.step(done, f"loss {loss:.3f}", (done - first) * tokens)
            self._save(checkpoint, done, seconds)
        speed = quantity((self.steps - first) * tokens / (self.clock() - start))
        loss = self.curve.smoothed(self.steps)
        progress.close(f"{self.steps} steps · loss {loss:.3f} · {speed} tok/s")

    def _keep(self, done: int) -> None:
        """Keep the weights if they are to be kept after so many steps."""
        for share in [share for share, step in self.due.items() if step == done]:
            found = sharding.gathered(language_model.weights(self.model), keep=self.rank == 0)
            self.kept |= {share + name: tensor.clone() for name, tensor in found.items()}

    def save_kept(self, path: Path) -> None:
        """Write the weights that were kept, if any were to be."""
        if self.due:
            with artifacts.atomic(path) as temporary:
                safetensors.torch.save_file(self.kept, temporary, seals.HEADER)

    def clock(self) -> float:
        """Seconds: CPU time on a CPU, whose cores are shared with other runs; else wall time."""
        return time.process_time() if self.device.type == "cpu" else time.monotonic()

    def step(self, step: int, pieces: Tensor) -> None:
        """One update on pieces [batch, context]; the mean loss goes to `losses`."""
        if self.world > 1:
            pieces = pieces.tensor_split(self.world)[self.rank]
        loss = self._backward(pieces.to(self.device))
        norm = sharding.norm(p.grad for p in self.parameters if p.grad is not None)
        factor = self.curve.factor(step)
        self.optimizer.step(factor, (norm / self.training["clip"]).clamp_(min=1.0))
        for parameter in self.parameters:
            parameter.grad = None
        if self.world > 1:
            torch.distributed.all_reduce(loss)
            loss /= self.world
        self.losses[step] = loss

    def _backward(self, pieces: Tensor) -> Tensor:
        """Gradients of the mean loss of pieces, `rows` of them at a time; that loss."""
        if len(pieces) <= self.rows:
            loss: Tensor = self.objective(pieces)
            loss.backward()
            return loss.detach()
        total = torch.zeros((), device=self.device)
        parts = pieces.split(self.rows)
        for number, part in enumerate(parts, 1):
            # Processes exchange gradients once a step, with the last part; those that hold but
            # parts of them have no room to wait.
            more = self.world > 1 and not self.sharded and number < len(parts)
            with self.objective.no_sync() if more else contextlib.nullcontext():  # type: ignore[operator]
                loss = self.objective(part) * (len(part) / len(pieces))
                loss.backward()
            total += loss.detach()
        return total

    def _save(self, checkpoint: Checkpoint, done: int, seconds: float) -> None:
        """Write a checkpoint if one is due: all that the steps to come depend on, and the record
        of those that were."""
        due = checkpoint.due()
        if not (sharding.agreed(due, self.device) if self.sharded else due):
            return
        tensors = sharding.gathered(self._tensors(), keep=self.rank == 0)
        if self.rank == 0:
            points = torch.tensor([*self.curve.points, (done, seconds)], dtype=torch.float64)
            kept = {f"{MINE}{name}": tensor for name, tensor in self.kept.items()}
            checkpoint.save({**tensors, **kept, "points": points})

    def _tensors(self) -> dict[str, Tensor]:
        named = language_model.weights(self.model)
        weights = {f"model.{name}": tensor for name, tensor in named.items()}
        return {**weights, **self.optimizer.state(), "losses": self.losses}

    @torch.no_grad()
    def _resume(self, saved: Mapping[str, Tensor] | None) -> tuple[int, float]:
        """Steps done and seconds spent before, as `_save` wrote them."""
        if saved is None:
            return 0, 0.0
        for name, tensor in self._tensors().items():
            sharding.put(tensor, saved[name])
        mine = [name for name in saved if name.startswith(MINE) and self.rank == 0]
        self.kept = {name.removeprefix(MINE): saved[name].clone() for name in mine}
        *points, (done, seconds) = saved["points"].tolist()
        self.curve.points = [tuple(point) for point in points]
        return int(done), seconds


def _rows_at_once(spec: Mapping[str, Any], execution: Mapping[str, Any], world: int) -> int:
    """Pieces whose gradients one process takes at a time. UserError if that is not a share."""
    context: int = spec["model"]["context"]
    batch: int = spec["training"]["batch_tokens"] // context
    if batch % world:
        raise UserError(f"{world} processes cannot share {batch} pieces", where="execution.gpus")
    tokens = execution["micro_batch_tokens"]
    return max(1, int(tokens) // context) if tokens else batch


@engine
def native(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    distribution: Path,
    title: str,
    execution: Mapping[str, Any],
) -> None:
    """The package's own."""
    train(out, spec, pool, distribution, title, execution)


def calibrate(model: Mapping[str, Any], training: Mapping[str, Any]) -> float:
    """Seconds that a run would take on this machine, from a few steps on random tokens."""
    language_model.prepare_cpu()
    run = Run({"model": model, "training": training, "seed": 0}, 2 * CALIBRATION)
    shape = (training["batch_tokens"] // model["context"], model["context"])
    pieces = torch.randint(model["vocabulary"], shape)
    for step in range(run.steps):
        if step == CALIBRATION:
            start = run.clock()
        run.step(step, pieces)
        run.losses[step].item()
    steps: float = training["tokens"] / training["batch_tokens"]
    return (run.clock() - start) / CALIBRATION * steps
