"""A run as llm-foundry's configuration has it: the model as MPT, the optimizer, the schedule."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxyscale.training import parametrization
from proxyscale.training.curve import Curve
from proxyscale.training.gpt import Gpt

# MPT's names for the modules of `Gpt`.
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


def mpt_name(name: str) -> str:
    """MPT's name of a parameter of `Gpt`."""
    return ".".join(STEMS.get(part, part) for part in name.split("."))


def configuration(
    folder: Path,
    spec: Mapping[str, Any],
    model: Gpt,
    curve: Curve,
    precision: str,
    execution: Mapping[str, Any],
) -> dict[str, Any]:
    """llm-foundry's configuration of a run."""
    training, context = spec["training"], spec["model"]["context"]
    micro = execution["micro_batch_tokens"]
    batch = training["batch_tokens"] // context
    optimizer = _optimizer(model, training)
    clipping = {"clipping_type": "norm", "clipping_threshold": training["clip"]}
    return {
        "model": _mpt(folder, spec["model"], model),
        "tokenizer": {"name": str(folder / "tokenizer"), "kwargs": {}},
        "optimizer": optimizer,
        "scheduler": {"name": "constant_with_warmup", "t_warmup": "0ba"},
        "algorithms": {"gradient_clipping": clipping},
        "train_loader": _loader(folder, context),
        "loggers": {"proxyscale": _rates(curve, optimizer)},
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
        **_checkpoints(folder, execution["checkpoint_minutes"]),
    }


def _loader(folder: Path, context: int) -> dict[str, Any]:
    """The run's pieces in their order, by this process alone."""
    dataset = {"local": str(folder / "shards"), "split": None, "shuffle": False}
    return {
        "name": "text",
        "dataset": {**dataset, "max_seq_len": context, "num_canonical_nodes": 1},
        "drop_last": True,
        "num_workers": 0,
        "prefetch_factor": None,
        "persistent_workers": False,
    }


def _rates(curve: Curve, optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """The learning rates of the optimizer's groups, and their schedule."""
    return {
        # llm-foundry puts the default group first.
        "peaks": [group["lr"] for group in (optimizer, *optimizer["param_groups"])],
        "steps": curve.steps,
        "warmup": curve.warmup,
        "final": curve.training["final_learning_rate"],
    }


def _checkpoints(folder: Path, minutes: float | None) -> dict[str, Any]:
    """Where an interrupted run goes on from; without `minutes` between two there are none."""
    return {
        "save_folder": str(folder / "checkpoints") if minutes else None,
        "save_interval": f"{round(60 * minutes)}sec" if minutes else "1dur",
        "save_num_checkpoints_to_keep": 1,
        "autoresume": bool(minutes),
    }


def _mpt(folder: Path, spec: Mapping[str, Any], model: Gpt) -> dict[str, Any]:
    """MPT as `Gpt` is: learned positions, exact GELU; µP by its multipliers."""
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


def _optimizer(model: Gpt, training: Mapping[str, Any]) -> dict[str, Any]:
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
