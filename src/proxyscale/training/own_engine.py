"""A trainer of one's own: a command that gets a run and its tokens in order, and leaves a model.

What stands in the command is filled in:

    {data}   the tokens in the order in which they are to be seen, [pieces, context]: a .npy memory
             map, .bin, the same numbers without a header, or a folder of MDS (`token_files`)
    {order}  the pool's examples in that order, a .npy of ids
    {spec}   the run as JSON: model, training, seed, and of the data type, shape, batch and steps
    {out}    an empty folder for what it leaves

It leaves a Hugging Face folder (config.json and safetensors), or model.safetensors with the names
of the scale's own architecture; if it likes, curve.csv (step, tokens, loss, perhaps lr and seconds)
and versions.json.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import safetensors.torch
import torch
from torch import Tensor

from proxyscale.base import artifacts, seals
from proxyscale.base.errors import UserError
from proxyscale.base.progress import Progress
from proxyscale.data.pool import Pool
from proxyscale.training import evaluate, language_model, published
from proxyscale.training.batches import Batches, draw_ids
from proxyscale.training.run_records import write_manifest
from proxyscale.training.scorer import Scorer, Trained
from proxyscale.training.token_files import write_tokens

SHOWN = 30  # last lines of the trainer's output that are shown when it fails
WHERE = "training.engine"
PARAMETERS = 0.1  # by which a model may differ from the scale's size
LAST = 64  # pieces at the end of the order whose loss tells what was learned


class Left(NamedTuple):
    """What a trainer left: a model that can be measured, its weights, what it is."""

    scorer: Scorer
    weights: dict[str, Tensor]
    parameters: int
    vocabulary: int
    facts: dict[str, Any]  # for the manifest


def train(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    distribution: Path,
    title: str,
    execution: Mapping[str, Any],
) -> None:
    """Train one run; arguments and artifacts as for `native.train`.

    What the trainer reads and writes lies in `out`/engine until the run is done; what an
    interrupted one left there stays. UserError if it fails, or leaves what is not this run.
    """
    language_model.prepare_cpu()
    inputs = {"pool": artifacts.sha256(pool), "distribution": artifacts.sha256(distribution)}
    opened = Pool.open(pool)
    batches = Batches(spec, opened, draw_ids(distribution, spec["draw"]))
    folder = (out / "engine").absolute()
    words = _prepare(folder, spec, inputs, batches)
    start = time.monotonic()
    progress = Progress(title, len(batches))
    _run(words)
    seconds = time.monotonic() - start
    left = _left(folder / "out", spec, opened.vocabulary)
    told = _curve(folder / "out", spec, batches, seconds)
    last = _last_loss(left, batches, opened)
    table = told if told is not None else _end(spec, batches, last, seconds)
    with artifacts.atomic(out / language_model.MODEL) as temporary:
        safetensors.torch.save_file(left.weights, temporary, seals.HEADER)
    artifacts.write(out / "curve.parquet", table, "curve")
    write_manifest(
        out,
        {**spec, **left.facts},
        inputs,
        parameters=left.parameters,
        tokens=int(table["tokens"][-1].as_py()),
        final_loss=float(table["loss"][-1].as_py()),
        epochs=batches.epochs,
        precision="fp32",
        versions=_versions(folder / "out"),
    )
    shutil.rmtree(folder)
    progress.close(f"{len(batches)} steps · loss {table['loss'][-1].as_py():.3f}")


def _prepare(
    folder: Path, spec: Mapping[str, Any], inputs: Mapping[str, str], batches: Batches
) -> list[str]:
    """Write what the trainer reads; its command, filled in."""
    engine = spec["training"]["engine"]
    form, kind = engine["format"], batches[0].dtype.newbyteorder("<")
    shape = (len(batches) * batches.batch, batches.context)
    data = {"dtype": kind.name, "shape": shape, "batch": batches.batch, "steps": len(batches)}
    told = json.loads(json.dumps({**spec, "data": data, "inputs": inputs}))
    paths = {"data": folder / f"tokens.{form}", "order": folder / "order.npy"}
    paths |= {"spec": folder / "spec.json", "out": folder / "out"}
    if not paths["spec"].exists() or artifacts.foreign_json(paths["spec"]) != told:
        shutil.rmtree(folder, ignore_errors=True)
        paths["out"].mkdir(parents=True)
        np.save(paths["order"], batches.order)
        write_tokens(paths["data"], form, kind, batches)
        with artifacts.atomic(paths["spec"]) as temporary:
            temporary.write_text(json.dumps(told, indent=2))
    return [word.format_map(paths) for word in shlex.split(engine["command"])]


def _run(words: list[str]) -> None:
    """Run the trainer, which tells what it likes. UserError with its last lines if it fails."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    told: deque[str] = deque(maxlen=SHOWN)
    try:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
    except OSError as error:
        raise UserError(f"{words[0]} cannot be run: {error.strerror}", where=WHERE) from None
    with process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                told.append(line)
                print(line, end="", file=sys.stderr)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        message = f"the trainer ended with {process.returncode}; its last words:\n{''.join(told)}"
        raise UserError(message, where=WHERE)


def _left(out: Path, spec: Mapping[str, Any], vocabulary: int) -> Left:
    """The model that the trainer left. UserError if it is not one of this scale and pool."""
    if (out / "config.json").exists():
        left = _hugging_face(out, spec)
    elif (out / language_model.MODEL).exists():
        left = _own(out, spec)
    else:
        there = sorted(path.name for path in out.iterdir())
        message = f"the trainer left no config.json and no {language_model.MODEL}"
        raise UserError(message, where=WHERE, hint=f"it left {', '.join(there) or 'nothing'}")
    planned = spec["training"]["engine"]["parameters"]
    if abs(left.parameters / planned - 1) > PARAMETERS:
        message = f"the trainer's model has {left.parameters:,} parameters, the scale {planned:,}"
        hint = "compute is told by them: say a width and layers that give as many"
        raise UserError(message, where=WHERE, hint=hint)
    if left.vocabulary < vocabulary:
        message = f"the trainer's model knows {left.vocabulary} tokens, the pool has {vocabulary}"
        raise UserError(message, where=WHERE)
    return left


def _hugging_face(out: Path, spec: Mapping[str, Any]) -> Left:
    device = language_model.device()
    model, unread = published.load(out, "the trainer's model", device=device)
    if unread:
        message = f"the trainer's model has weights that its class has not: {', '.join(unread)}"
        raise UserError(message, where=WHERE)
    if model.context < spec["model"]["context"]:
        message = f"the trainer's model sees {model.context} tokens, the scale's context is "
        raise UserError(f"{message}{spec['model']['context']}", where=WHERE)
    config = json.loads(model.model.config.to_json_string(use_diff=False))
    facts = {"published": config, "context": spec["model"]["context"]}
    return Left(model, published.weights(model), model.parameters, model.vocabulary, facts)


def _own(out: Path, spec: Mapping[str, Any]) -> Left:
    """Weights by the names of the scale's own architecture."""
    model = language_model.build(spec["model"])
    found = safetensors.torch.load_file(out / language_model.MODEL)
    wanted = language_model.weights(model)
    if odd := sorted(wanted.keys() ^ found.keys()):
        message = f"the scale's architecture and the weights left differ in {', '.join(odd[:5])}"
        raise UserError(message, where=WHERE)
    for name, tensor in found.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(wanted[name].shape)}"
            raise UserError(f"the weight {name} is {shapes}", where=WHERE)
        if not tensor.isfinite().all():
            raise UserError(f"the weight {name} has values that are not finite", where=WHERE)
    model.load_state_dict({name: tensor.float() for name, tensor in found.items()}, strict=False)
    model = model.eval().to(language_model.device())
    kept = {
        name: tensor.cpu().contiguous() for name, tensor in language_model.weights(model).items()
    }
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Left(Trained(model), kept, parameters, len(model.readout), {})


def _last_loss(left: Left, batches: Batches, pool: Pool) -> float:
    """The model's loss on what it saw last. UserError if it is worse than knowing nothing."""
    pieces = np.concatenate(
        [batches[step] for step in range(max(0, len(batches) - 8), len(batches))]
    )
    pieces = pieces[-LAST:]
    table = pa.table({"tokens": pa.array(pieces.astype(np.uint32).tolist(), pa.list_(pa.uint32()))})
    table = table.append_column("scored_from", pa.array([1] * len(table), pa.uint32()))
    measured = evaluate.measure(left.scorer, table)
    loss = float(measured.loss.sum() / measured.tokens.sum())
    limit = math.log(pool.vocabulary)
    if not loss <= limit:
        told = f"{loss:.3f} on what it saw last, a model that knows nothing {limit:.3f}"
        hint = "did it train on {data}, and do its tokens stand as they are there?"
        raise UserError(f"the trainer's model loses {told}", where=WHERE, hint=hint)
    return loss


def _curve(out: Path, spec: Mapping[str, Any], batches: Batches, seconds: float) -> pa.Table | None:
    """The trainer's curve (kind curve), if it left one.

    UserError if the curve says that other tokens were seen than the run has.
    """
    tokens = len(batches) * spec["training"]["batch_tokens"]
    path = out / "curve.csv"
    if not path.exists():
        return None
    table = pc.read_csv(path)
    for name in ("step", "tokens", "loss"):
        if name not in table.column_names:
            allowed = table.column_names
            raise UserError(f"no column is named {name!r}", where="curve.csv", allowed=allowed)
    seen = table["tokens"][-1].as_py() if len(table) else 0
    if seen != tokens:
        raise UserError(f"the trainer saw {seen:,} tokens, the run has {tokens:,}", where=WHERE)
    if "seconds" not in table.column_names:
        share = np.asarray(table["tokens"]) / tokens
        table = table.append_column("seconds", pa.array(share * seconds))
    known = artifacts.SCHEMAS["curve"].names
    kept = [name for name in known if name in table.column_names]
    return artifacts.conform(table.select(kept), "curve")


def _end(spec: Mapping[str, Any], batches: Batches, loss: float, seconds: float) -> pa.Table:
    """A curve of its last point, as it is measured here."""
    tokens = len(batches) * spec["training"]["batch_tokens"]
    end = {"step": len(batches), "tokens": tokens, "loss": loss, "seconds": seconds}
    return artifacts.conform(pa.Table.from_pylist([end]), "curve")


def _versions(out: Path) -> dict[str, str]:
    """What read the model, and what the trainer says of itself."""
    path, found = out / "versions.json", {"torch": torch.__version__, "numpy": np.__version__}
    told = artifacts.foreign_json(path) if path.exists() else {}
    if not isinstance(told, dict):
        raise UserError("is no mapping of names to versions", where="versions.json")
    return found | {f"trainer {name}": str(value) for name, value in told.items()}
