"""The llm-foundry engine: MPT trained by MosaicML's llm-foundry, in an environment of its own.

llm-foundry pins another torch, so it is called as a program (`foundry_worker`) by the interpreter
that `execution.foundry` names. The run starts from the native engine's weights, sees its batches
and takes its learning rates, weight decay and schedule: the two differ by rounding.
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

import numpy as np
import safetensors.torch

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.progress import Progress
from proxyscale.data.pool import Pool
from proxyscale.training import language_model, parametrization
from proxyscale.training.batches import Batches, draw_ids
from proxyscale.training.curve import Curve
from proxyscale.training.language_model import LanguageModel
from proxyscale.training.native import write_records

SAID = "proxyscale "  # begins a line of the worker that tells what a step lost
SHOWN = 40  # last lines of llm-foundry's output that are shown when it fails
# MPT's names for the modules of `LanguageModel`.
STEMS = {
    "embedding": "transformer.wte",
    "positions": "transformer.wpe",
    "blocks": "transformer.blocks",
    "attention_norm": "norm_1",
    "qkv": "attn.Wqkv",
    "out": "attn.out_proj",
    "mlp_norm": "norm_2",
    "up": "ffn.up_proj",
    "down": "ffn.down_proj",
    "norm": "transformer.norm_f",
    "head": "lm_head",
}


def train(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    distribution: Path,
    title: str,
    execution: Mapping[str, Any],
) -> None:
    """Train one run; arguments and artifacts as for `train.train`.

    What llm-foundry reads and writes lies in `out`/foundry until the run is done. UserError if
    there is no such interpreter, if llm-foundry fails, or if the run diverges.
    """
    language_model.prepare_cpu()
    inputs = {"pool": artifacts.sha256(pool), "distribution": artifacts.sha256(distribution)}
    batches = Batches(spec, Pool.open(pool), draw_ids(distribution, spec["draw"]))
    model = language_model.build(spec["model"], spec["seed"])
    precision = language_model.precision(spec["training"]["precision"], language_model.device())
    curve = Curve(spec, len(batches), language_model.device())
    folder = (out / "foundry").absolute()
    config = configuration(folder, spec, model, curve, precision, execution)
    config["metadata"] = {**inputs, "draw": spec["draw"]}
    config["train_loader"]["dataset"]["token_encoding_type"] = str(batches[0].dtype)
    command = _command(execution, folder)
    _prepare(folder, config, model, batches)
    with closing(_losses(command, folder / "said.jsonl")) as said:
        _draw(curve, said, Progress(title, len(batches)))
    names = {mpt_name(name): name for name in model.state_dict()}
    trained = safetensors.torch.load_file(folder / "final.safetensors")
    model.load_state_dict({names[name]: tensor for name, tensor in trained.items()})
    language_model.save(model, out / "model.safetensors")
    version = {"llm-foundry": _version(execution)}
    write_records(out, curve, precision, batches.epochs, spec, inputs, **version)
    shutil.rmtree(folder)


def mpt_name(name: str) -> str:
    """MPT's name of a parameter of `LanguageModel`."""
    return ".".join(STEMS.get(part, part) for part in name.split("."))


def configuration(
    folder: Path,
    spec: Mapping[str, Any],
    model: LanguageModel,
    curve: Curve,
    precision: str,
    execution: Mapping[str, Any],
) -> dict[str, Any]:
    """llm-foundry's configuration of a run."""
    training, context = spec["training"], spec["model"]["context"]
    micro = execution["micro_batch_tokens"]
    batch = training["batch_tokens"] // context
    shards = {"local": str(folder / "shards"), "split": None, "shuffle": False}
    minutes = execution["checkpoint_minutes"]
    optimizer = _optimizer(model, training)
    return {
        "model": architecture(folder, spec["model"], model),
        "tokenizer": {"name": str(folder / "tokenizer"), "kwargs": {}},
        "optimizer": optimizer,
        "scheduler": {"name": "constant_with_warmup", "t_warmup": "0ba"},
        "algorithms": {
            "gradient_clipping": {
                "clipping_type": "norm",
                "clipping_threshold": training["clip"],
            }
        },
        "train_loader": {
            "name": "text",
            "dataset": {
                **shards,
                "max_seq_len": context,
                "num_canonical_nodes": 1,
            },
            "drop_last": True,
            "num_workers": 0,
            "prefetch_factor": None,
            "persistent_workers": False,
        },
        "loggers": {
            "proxyscale": {
                # llm-foundry puts the default group first.
                "peaks": [group["lr"] for group in (optimizer, *optimizer["param_groups"])],
                "steps": curve.steps,
                "warmup": curve.warmup,
                "final": training["final_learning_rate"],
            }
        },
        "global_train_batch_size": batch,
        "device_train_microbatch_size": max(1, micro // context) if micro else batch,
        "device_eval_batch_size": 1,
        "max_duration": f"{curve.steps}ba",
        "eval_interval": 0,
        "max_seq_len": context,
        "precision": {"fp32": "fp32", "bf16": "amp_bf16"}[precision],
        "seed": spec["seed"],
        "dist_timeout": 600,
        "progress_bar": False,
        "log_to_console": False,
        "run_name": "run",
        "save_folder": str(folder / "checkpoints") if minutes else None,
        "save_interval": f"{round(60 * minutes)}sec" if minutes else "1dur",
        "save_num_checkpoints_to_keep": 1,
        "autoresume": bool(minutes),
    }


def architecture(folder: Path, spec: Mapping[str, Any], model: LanguageModel) -> dict[str, Any]:
    """MPT as `LanguageModel` is: learned positions, exact GELU; µP by its multipliers."""
    head = spec["width"] // spec["heads"]
    return {
        "name": "proxyscale",
        "weights": str(folder / "initial.safetensors"),
        "linear_bias": spec["bias"],
        "d_model": spec["width"],
        "n_heads": spec["heads"],
        "n_layers": spec["layers"],
        "expansion_ratio": spec["mlp_ratio"],
        "max_seq_len": spec["context"],
        "vocab_size": spec["vocabulary"],
        "no_bias": False,
        "tie_word_embeddings": spec["tied"],
        "learned_pos_emb": True,
        "attn_config": {
            "attn_impl": "torch",
            "softmax_scale": parametrization.attention_scale(head, spec["parametrization"]),
        },
        "logit_scale": 1 / parametrization.width_multiplier(model.readout),
        "loss_fn": "torch_crossentropy",
        "init_device": "cpu",
    }


def _optimizer(model: LanguageModel, training: Mapping[str, Any]) -> dict[str, Any]:
    """The native optimizer's groups; weight decay is decoupled from the rate.

    The last group is the default one, so that none is empty: an empty group does not survive
    composer's checkpoints.
    """
    native = parametrization.optimizer(model, model.hidden_matrices(), training)
    names = {id(tensor): mpt_name(name) for name, tensor in model.named_parameters()}
    groups = [
        {
            "param_str_match": rf"^model\.(?:{'|'.join(names[id(p)] for p in group.parameters)})$",
            "lr": group.rate,
            "weight_decay": group.rate * group.weight_decay,
        }
        for group in native.groups
    ]
    default = groups.pop()
    return {
        "name": "decoupled_adamw",
        "lr": default["lr"],
        "weight_decay": default["weight_decay"],
        "betas": list(training["betas"]),
        "eps": training["eps"],
        "param_groups": groups,
    }


def _prepare(
    folder: Path, config: Mapping[str, Any], model: LanguageModel, batches: Batches
) -> None:
    """Write what the worker reads; what an interrupted run of the same config left stays."""
    path = folder / "config.json"
    if path.exists() and artifacts.read_json(path) == config:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    weights = {mpt_name(name): tensor for name, tensor in model.state_dict().items()}
    safetensors.torch.save_file(weights, folder / "initial.safetensors")
    shape = (len(batches) * batches.batch, batches.context)
    pieces = np.lib.format.open_memmap(folder / "pieces.npy", "w+", batches[0].dtype, shape)
    for step in range(len(batches)):
        pieces[step * batches.batch : (step + 1) * batches.batch] = batches[step]
    pieces.flush()
    artifacts.write_json(path, config)


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


Said = tuple[int, float, float]  # steps done, the loss of the last one, seconds


def _losses(command: list[str], record: Path) -> Generator[Said, None, None]:
    """What every step loses, as the worker says it; first what an interrupted run had said.

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
                if not line.startswith(SAID):
                    output.append(line)
                    continue
                said = json.loads(line.removeprefix(SAID))
                row = (said["step"] + 1, said["loss"], before + said["seconds"])
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


def _draw(curve: Curve, said: Iterable[Said], progress: Progress) -> None:
    """Fill the curve. UserError if the run diverges."""
    seconds = [0.0] * curve.steps
    for done, loss, at in said:
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
