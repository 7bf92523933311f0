"""The llm-foundry engine: MPT trained by MosaicML's llm-foundry, in an environment of its own.

llm-foundry pins another torch, so it is called as a program (`llm_foundry_worker`) by the
interpreter that `execution.foundry` names. The run starts from the native engine's weights, sees
its batches and takes its learning rates, weight decay and schedule: the two differ by rounding.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import safetensors.torch

from proxyscale.base import arrays, artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.progress import Progress
from proxyscale.data.pool import Pool
from proxyscale.registry import engine
from proxyscale.training import language_model
from proxyscale.training.batches import Batches, draw_ids
from proxyscale.training.curve import Curve
from proxyscale.training.gpt import Gpt
from proxyscale.training.llm_foundry_config import configuration, mpt_name
from proxyscale.training.run_records import write_records

MARK = "proxyscale "  # begins a line of the worker that tells what a step lost
SHOWN = 40  # last lines of llm-foundry's output that are shown when it fails


@engine
def llm_foundry(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    distribution: Path,
    title: str,
    execution: Mapping[str, Any],
) -> None:
    """Train one run; arguments and artifacts as for `native.train`.

    What llm-foundry reads and writes lies in `out`/foundry until the run is done. UserError if
    there is no such interpreter, if llm-foundry fails, if the run diverges, or if it is no gpt.
    """
    language_model.prepare_cpu()
    inputs = {"pool": artifacts.sha256(pool), "distribution": artifacts.sha256(distribution)}
    batches = Batches(spec, Pool.open(pool), draw_ids(distribution, spec["draw"]))
    model = language_model.build(spec["model"], spec["seed"])
    if not isinstance(model, Gpt):
        raise UserError("llm-foundry trains gpt alone", where="training.engine")
    if spec.get("checkpoints"):
        raise UserError("llm-foundry keeps no checkpoints", where="checkpoints")
    precision = language_model.precision(spec["training"]["precision"], language_model.device())
    curve = Curve(spec, len(batches), language_model.device())
    folder = (out / "foundry").absolute()
    config = configuration(folder, spec, model, curve, precision, execution)
    config["metadata"] = {**inputs, "draw": spec["draw"]}
    config["train_loader"]["dataset"]["token_encoding_type"] = str(batches[0].dtype)
    command = _command(execution, folder)
    _prepare(folder, config, model, batches)
    with closing(_losses(command, folder / "losses.jsonl")) as losses:
        _fill(curve, losses, Progress(title, len(batches)))
    names = {mpt_name(name): name for name in model.state_dict()}
    trained = safetensors.torch.load_file(folder / "final.safetensors")
    model.load_state_dict({names[name]: tensor for name, tensor in trained.items()})
    language_model.save(language_model.weights(model), out / "model.safetensors")
    version = {"llm-foundry": _version(execution)}
    write_records(out, curve, precision, batches.epochs, spec, inputs, **version)
    shutil.rmtree(folder)


def _prepare(folder: Path, config: Mapping[str, Any], model: Gpt, batches: Batches) -> None:
    """Write what the worker reads; what an interrupted run of the same config left stays."""
    path = folder / "config.json"
    if path.exists() and artifacts.foreign_json(path) == config:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    weights = {mpt_name(name): tensor for name, tensor in model.state_dict().items()}
    safetensors.torch.save_file(weights, folder / "initial.safetensors")
    shape = (len(batches) * batches.batch, batches.context)
    with (folder / "pieces.npy").open("wb") as pieces:
        arrays.write_header(pieces, batches[0].dtype, shape)
        for step in range(len(batches)):
            batches[step].tofile(pieces)
    with artifacts.atomic(path) as temporary:
        temporary.write_text(json.dumps(config))


def _command(execution: Mapping[str, Any], folder: Path) -> list[str]:
    """The worker, one process a GPU. UserError if its interpreter is missing."""
    python = Path(os.path.expandvars(execution["foundry"])).expanduser()
    if not python.exists():
        raise UserError(
            f"no such interpreter: {python}",
            where="execution.foundry",
            hint="`make foundry` installs llm-foundry into .foundry/",
        )
    worker = ["-m", "proxyscale.training.llm_foundry_worker", str(folder / "config.json")]
    if execution["gpus"] > 1:
        processes = str(int(execution["gpus"]))
        return [str(python), "-m", "composer.cli.launcher", "-n", processes, *worker]
    return [str(python), *worker]


StepLoss = tuple[int, float, float]  # steps done, the loss of the last one, seconds


def _losses(command: list[str], record: Path) -> Generator[StepLoss, None, None]:
    """What every step loses, as the worker tells it; first what an interrupted run had told.

    UserError with the end of its output if the worker fails.
    """
    before = 0.0
    if record.exists():
        for line in record.read_text().splitlines():
            step, loss, before = json.loads(line)
            yield step, loss, before
    source = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": source, "HF_HUB_OFFLINE": "1"}
    output: deque[str] = deque(maxlen=SHOWN)
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as worker,
        record.open("a") as kept,
    ):
        assert worker.stdout is not None
        try:
            for line in worker.stdout:
                if not line.startswith(MARK):
                    output.append(line)
                    continue
                told = json.loads(line.removeprefix(MARK))
                row = (told["step"] + 1, told["loss"], before + told["seconds"])
                kept.write(json.dumps(row) + "\n")
                kept.flush()
                yield row
        finally:
            worker.terminate()
    if worker.returncode:
        raise UserError(
            f"llm-foundry ended with {worker.returncode}; its last words:\n{''.join(output)}",
            where="training.engine",
        )


def _fill(curve: Curve, losses: Iterable[StepLoss], progress: Progress) -> None:
    """Fill the curve. UserError if the run diverges."""
    seconds = [0.0] * curve.steps
    for done, loss, at in losses:
        curve.losses[done - 1], seconds[done - 1] = loss, at
        if curve.due(done):
            smoothed = curve.check(done)
            progress.step(done, f"loss {smoothed:.3f}", done * curve.training["batch_tokens"])
    curve.points = [(done, at) for done, at in enumerate(seconds, 1) if curve.due(done)]
    progress.close(f"{curve.steps} steps · loss {curve.smoothed(curve.steps):.3f}")


def _version(execution: Mapping[str, Any]) -> str:
    """The version of llm-foundry that trained."""
    program = "from importlib.metadata import version; print(version('llm-foundry'))"
    python = _command(execution, Path())[0]
    return subprocess.run(
        [python, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()
