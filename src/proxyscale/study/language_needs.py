"""The needs of a language study's jobs, by rule.

Memory of training: Korthikanti et al. (arXiv 2205.05198, equation 2) without the scores that fused
attention never keeps; states: weights, gradients and Adam's two moments in float32. Operations:
6·P·D (paper, section 2) and those of attention, 6·L·context·width a token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from proxyscale.base import cost
from proxyscale.base.cost import row_bytes
from proxyscale.base.devices import Most
from proxyscale.study.data_needs import QUESTION, DataNeeds
from proxyscale.study.hardware import Device
from proxyscale.study.job_times import READ
from proxyscale.study.needs import CONTEXT, CUDA, MARGIN, TORCH, Need
from proxyscale.study.study import canonical

BATCH_TOKENS = 4096  # measured at a time
CHOICES = 4  # answers of a question that are measured, at most

# Bytes of a token, a layer and a unit of width that the backward pass takes. In bf16 the residual
# stream and the inputs of norms stay float32.
ACTIVATIONS: Mapping[str, float] = {"bf16": 38.0, "tf32": 68.0, "fp32": 68.0}
LOGITS = 12.0  # bytes of each of the logits that are in memory together: with gradient and softmax
CHUNK = 1 << 28  # logits that training holds at a time on a GPU
STEP = 0.02  # seconds, at least, of a forward and a backward pass over a micro batch
ROOM = 0.9  # of a GPU's memory may be asked for before the states are shared
TRAFFIC = 12.0  # bytes of memory traffic of a parameter whose gradient is made and projected
BLOCK = 4096  # rows of features that are multiplied at a time
BATCH = 16  # examples whose gradients a CPU core makes together


def activations(model: Mapping[str, Any], tokens: int, precision: str = "fp32") -> float:
    """Bytes that a language model keeps for the backward pass over so many tokens."""
    each = ACTIVATIONS[precision]
    return float(tokens * model["width"] * (each * model["layers"] + each / 2))


def operations(model: Mapping[str, Any], parameters: int, tokens: float) -> float:
    """FLOPs of a forward and a backward pass over so many tokens, attention's among them."""
    attention = 6.0 * model["layers"] * model["context"] * model["width"]
    return float((6.0 * parameters + attention) * tokens)


class LanguageNeeds(DataNeeds):
    """The needs of a language study's jobs."""

    @property
    def _main(self) -> Device:
        """The device of what is about no single scale."""
        return self.device(self.study.config.execution.device)

    def _of(self, scale: str) -> Device:
        return self.device(self.study.scales[scale].execution["device"])

    def most_gpus(self) -> Most:
        asked: list[Most] = []
        for name in dict.fromkeys(run.scale for run in self.study.trained):
            own = self.study.scales[name].execution
            said = float(own["gpus"]) if own["device"] == "auto" else 0.0
            gpus = self._gpus(name) or said
            asked.append(Most(gpus, f"scales.{name}", str(own["device"]), own["nodes"]))
        return max(asked, key=lambda most: (most.nodes, most.gpus))

    def _gpus(self, scale: str) -> float:
        """GPUs of a run: those that are said, or one; none on CPUs."""
        said = float(self.study.scales[scale].execution["gpus"])
        return (said or 1.0) if self._of(scale).gpu else 0.0

    def _one(self, scale: str) -> float:
        """GPUs of a job that only one can work at."""
        return min(1.0, self._gpus(scale))

    def train(self, scale: str, distribution: str) -> Need:
        """One run: weights, gradients and moments; 6·P·D operations.

        On GPUs every process makes the model on the host, and may read a checkpoint of 12 bytes a
        parameter there; the first writes it. Processes that share batches hold another copy of the
        gradients, to exchange them; those that hold parts of the states map the checkpoint.
        """
        found, gpus = self.study.scales[scale], self._gpus(scale)
        device, p = self._of(scale), found.parameters
        kept = 4.0 * len(self.study.config.checkpoints) * p
        nodes = int(found.execution["nodes"])
        tokens = self.study.tokens(scale, distribution)
        order = 24.0 * tokens / found.length
        seconds = self._seconds("train", scale) * tokens / found.tokens
        if said := found.execution.get("hours"):
            seconds = 3600.0 * said
        disk = 4.0 * p + kept + 12.0 * p
        if not device.gpu:
            held = activations(found.model, self._micro(scale), self._precision(scale))
            return Need(TORCH + order + 16.0 * p + kept + held, seconds, disk=disk, nodes=nodes)
        sharded = self._sharded(scale)
        made = (4.0 if sharded else 16.0) * p
        memory = self.processes(scale) * (TORCH + CUDA + order + made) + 12.0 * p + kept
        on_gpu = self._on_gpu(scale, sharded)
        return Need(memory, seconds, gpus, on_gpu, disk, nodes)

    def processes(self, scale: str) -> int:
        """Processes of a run on each of its nodes."""
        own = self.study.scales[scale].execution
        return max(1, int(own["gpus"] / own["nodes"]))

    def execution(self, scale: str) -> str:
        """How a scale's runs are executed: no part of a slice, since no result depends on it."""
        own = self.study.scales[scale].execution
        return canonical({**own, "sharded": self._sharded(scale)})

    def _sharded(self, scale: str) -> bool:
        """Whether the GPUs of a run each hold a part of its states: as is said, or if need be."""
        own = self.study.scales[scale].execution
        if own["gpus"] <= 1 or own["sharded"] is not None:
            return bool(own["gpus"] > 1 and own["sharded"])
        device = self._of(scale)
        return device.gpu and self._on_gpu(scale, sharded=False) > ROOM * device.memory

    def _on_gpu(self, scale: str, sharded: bool) -> float:
        """Memory of a GPU that trains: states, what the backward pass takes, logits.

        Where each holds a part of the states, the embeddings, and two layers at a time, are
        gathered, and their gradients beside them.
        """
        found, processes = self.study.scales[scale], max(1, math.ceil(self._gpus(scale)))
        p = found.parameters
        states = (18.0 if processes == 1 else 22.0) * p
        if sharded:
            model = found.model
            outside = min(p, 2.0 * model["vocabulary"] * model["width"])
            layer = (p - outside / 2) / model["layers"]
            states = 16.0 * p / processes + 12.0 * outside + 24.0 * layer
        held = activations(found.model, self._micro(scale), self._precision(scale))
        logits = LOGITS * min(CHUNK, self._micro(scale) * found.model["vocabulary"])
        return float(CONTEXT + states + held + logits)

    def evaluate(self, scale: str) -> Need:
        """A run's losses on all tasks."""
        found, device = self.study.scales[scale], self._of(scale)
        weights, held = 8.0 * found.parameters, activations(found.model, BATCH_TOKENS)
        tasks = self.study.config.tasks.values()
        disk = 20.0 * sum(task.examples for task in tasks)
        if not device.gpu:
            seconds = self._seconds("evaluate", scale)
            return Need(TORCH + weights + held, seconds, disk=disk)
        length = self.study.config.pool.length
        tokens = sum(
            task.examples * (length if task.kind == "text" else CHOICES * min(length, QUESTION))
            for task in tasks
        ) * (1 + len(self.study.config.checkpoints))
        flops = operations(found.model, found.parameters, tokens) / 3
        rate = device.rate(self.study.config.measured_in)
        seconds = MARGIN * (flops / rate + STEP * tokens / BATCH_TOKENS)
        on_gpu = CONTEXT + weights / 2 + held + LOGITS * BATCH_TOKENS * found.model["vocabulary"]
        return Need(TORCH + CUDA + weights, seconds, self._one(scale), on_gpu, disk)

    def candidate_losses(self, scale: str, distribution: str, candidates: str) -> Need:
        """Losses of the candidates under one model after another."""
        measured, found, device = self.evaluate(scale), self.study.scales[scale], self._of(scale)
        models = len(self.study.models(scale, distribution))
        rows = self._candidates(candidates)
        tokens = models * rows * self.study.config.pool.length
        seconds = MARGIN * models * self._seconds("features", scale, candidates)
        if device.gpu:
            flops = operations(found.model, found.parameters, tokens) / 3
            seconds = MARGIN * flops / device.rate("fp32")
        memory = measured.memory + 24.0 * rows
        return Need(memory, seconds, measured.gpus, measured.gpu_memory, 12.0 * rows)

    def features(self, scale: str, candidates: str) -> Need:
        """Gradients of the target examples and, where no jobs share them, of the candidates."""
        rows = 0.0 if self.study.feature_shards(candidates) else self._candidates(candidates)
        return self._featurized(scale, rows, self._targets, ("features", scale, candidates))

    def feature_shard(self, scale: str, candidates: str) -> Need:
        """Gradients of a share of the candidates."""
        rows = self._candidates(candidates) / len(self.study.feature_shards(candidates))
        return self._featurized(scale, rows, 0, ("feature_shard", scale, candidates, "0"))

    def _featurized(self, scale: str, rows: float, targets: int, job: tuple[str, ...]) -> Need:
        """Gradients of some examples at a time, and their projections."""
        found, device = self.study.scales[scale], self._of(scale)
        own, p = self.study.config.attribution, found.parameters
        disk = row_bytes(own.dimension, own.keep) * rows + 4.0 * own.dimension * targets
        rows += targets
        one = cost.gradient_bytes(found.model, found.length)
        if not device.gpu:
            return Need(TORCH + 8.0 * p + BATCH * one, self._seconds(*job), disk=disk)
        work = operations(found.model, p, rows * found.length) / device.rate(own.precision)
        traffic = TRAFFIC * p * rows / device.bandwidth
        on_gpu = CONTEXT + 8.0 * p + one
        seconds = MARGIN * (work + traffic + disk / READ)
        return Need(TORCH + CUDA + 16.0 * p, seconds, self._one(scale), on_gpu, disk)

    def score(self, candidates: str, models: int | None = None) -> Need:
        """Sums over blocks of features: their kernel, its decomposition, the scores.

        The features are mapped from their files, and read twice.
        """
        own, device = self.study.config.attribution, self._main
        models, rows = models or own.models, self._candidates(candidates)
        k = own.dimension
        memory = TORCH + 24.0 * rows + 4.0 * k * self._targets + 3 * 8.0 * k**2
        work = models * (2.0 * rows * k**2 + 25.0 * k**3) / device.rate("fp32")
        seconds = MARGIN * (work + models * 2 * row_bytes(k, own.keep) * rows / READ)
        if not device.gpu:
            return Need(memory, seconds, disk=16.0 * rows)
        on_gpu = CONTEXT + 3 * 8.0 * k**2 + 16.0 * rows + 20.0 * BLOCK * k
        return Need(memory + CUDA, seconds, 1.0, on_gpu, 16.0 * rows)

    def compare_scores(self) -> Need:
        """The same of a sample, by models of all scales."""
        models = sum(map(len, self.study.side_by_side.values()))
        return self.score(self.study.sample, models)

    @property
    def _targets(self) -> int:
        """Target examples of all tasks that candidates are scored for."""
        return sum(self.study.config.tasks[t].target_examples for t in self.study.scored_tasks)

    def _micro(self, scale: str) -> int:
        """Tokens whose gradients a process takes at a time."""
        found = self.study.scales[scale]
        batch = found.training["batch_tokens"] // max(1, math.ceil(self._gpus(scale)))
        return int(min(batch, found.execution["micro_batch_tokens"] or batch))

    def _precision(self, scale: str) -> str:
        """What a scale trains in."""
        said = str(self.study.scales[scale].training["precision"])
        return ("bf16" if self._of(scale).gpu else "fp32") if said == "auto" else said

    def _by_flops(self, scale: str) -> float:
        found = self.study.scales[scale]
        processes = max(1.0, math.ceil(self._gpus(scale)))
        rate = processes * self._of(scale).rate(self._precision(scale))
        passes = found.tokens / (self._micro(scale) * processes)
        work = operations(found.model, found.parameters, found.tokens)
        return work / rate + STEP * passes
