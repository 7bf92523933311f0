"""The words of a config about models: how they are built, trained and executed, and what scores."""

from __future__ import annotations

import typing
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from proxyscale.registry import DEFAULT_ARCHITECTURE
from proxyscale.study.config_types import (
    NUMBER,
    Count,
    Few,
    NonNegative,
    Positive,
    Seeds,
    Share,
    Strict,
    optional,
)


class ProxySelection(Strict):
    """Figure 8: select data through proxies of several scales, train one scale on each selection.

    Stands for distributions of role `selection`, named TASK-by-PROXY-PERCENT and the like.
    """

    tasks: list[str] = Field(description="the tasks that data is selected for", min_length=1)
    proxies: list[str] = Field(
        description="the scales that score; with the reference among them, how much of its own "
        "selection each proxy finds is told",
        min_length=1,
    )
    reference: str = Field(description="the scale that trains on every selection")
    candidates: Count = Field(description="random pool examples to select from")
    candidate_sources: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="sources of these, and of the subsets; null: all"
    )
    methods: list[str] = Field(
        ["dsdm", "dsir", "classifier"],
        description="selection methods, as they are without options: those that need scores or "
        "losses ask every proxy",
        min_length=1,
    )
    fractions: list[Annotated[float, NUMBER, Field(gt=0, lt=1)]] = Field(
        [0.1], description="shares of the candidates that are selected", min_length=1
    )
    epochs: Positive = Field(1.0, description="passes over a selection")
    models: Few = Field(2, description="proxies averaged, each on a random subset of its own")
    subset: Count = Field(6400, description="examples in such a random subset of the pool")
    seeds: Annotated[int, NUMBER, Field(ge=2)] = Field(
        3, description="training seeds on every selection: random subsets differ in each"
    )


class ScoreComparison(Strict):
    """Whether the scales attribute alike: Figures 24 to 26 and 29."""

    scored_on: str = Field(
        description="a distribution of the grid, whose runs at every scale score"
    )
    tasks: Annotated[list[str], Field(min_length=1)] = Field(
        description="tasks with target examples: Figures 24, 25 and 26 show one of each"
    )
    sample: Annotated[int, NUMBER, Field(ge=100)] = Field(
        2000, description="pool examples that are scored"
    )


class Attribution(Strict):
    """How models score pool examples for a task (TRAK)."""

    dimension: Count = Field(4096, description="k: gradients are projected to so many numbers")
    ridge: Positive = Field(0.3, description="added to the kernel, in mean eigenvalues of it")
    models: Few = Field(
        1, description="models averaged: runs of `scored_on`, one a draw, then the next seed"
    )
    shards: Few = Field(1, description="jobs that share the features of a model's candidates")
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32",
        description="gradients are made in; tf32 is for GPUs, bf16 is slow on most CPUs",
    )
    keep: Literal["fp32", "fp16", "int8"] = Field(
        "fp32", description="features are kept as; the last two with a scale for every example"
    )
    uncovered: Literal["error", "autograd", "leave-out"] = Field(
        "error",
        description="parameters whose gradients no rule covers, which are named: an error; "
        "autograd's, one example after another, which is slow; or left out of the features",
    )
    compare: ScoreComparison | None = Field(
        None, description="hold the scores of all scales side by side; null: do not"
    )


class Model(Strict):
    """The architecture that all scales share; a scale may say otherwise."""

    family: Literal["language"] = Field(
        "language", description="GPT form: pre-norm, learned positions"
    )
    architecture: str = Field(
        DEFAULT_ARCHITECTURE,
        description="gpt; a plugin's, whose options are `options`; or any causal language model of "
        "Hugging Face transformers by its model_type (llama, gpt2, qwen2), of which `config` says "
        "more",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="of a plugin's architecture; gpt's are the keys here"
    )
    config: dict[str, Any] = Field(
        default_factory=dict,
        description="of an architecture of transformers, in its own words (num_key_value_heads, "
        "intermediate_size); a scale's are added to the study's",
    )
    width: Count | None = Field(None, description="residual width")
    layers: Few | None = Field(None, description="transformer blocks")
    heads: Count | None = Field(None, description="attention heads; default: one per 16 of width")
    context: Count | None = Field(
        None, description="tokens that attend to each other; default: pool.length"
    )
    mlp_ratio: Count = Field(4, description="hidden width of the MLP over width")
    bias: bool = Field(False, description="biases in linear layers")
    tied: bool = Field(False, description="one matrix for embedding and head")
    parametrization: Literal["mup", "standard"] = Field(
        "mup", description="mup: hyperparameters hold across widths (Tensor Programs V)"
    )
    initialization: Literal["gpt2", "llm-foundry"] = Field(
        "gpt2",
        description="of gpt under the standard parametrization: gpt2: N(0, 0.02²); llm-foundry: as "
        "its MPT has it, N(0, 2 / fan-in), embeddings by their width",
    )
    base_width: Count = Field(
        32, description="the width at which the learning rates are as written"
    )


class EngineNeeds(Strict):
    """What a trainer of one's own asks for."""

    gpus: NonNegative = Field(0, description="of one run")
    nodes: Few = Field(1, description="that share them alike")
    hours: Positive | None = Field(None, description="of one run, asked of a scheduler")


class EngineCommand(Strict):
    """A trainer of one's own, which gets a run and its tokens in order and leaves a model."""

    command: str = Field(
        description="with {data}, {out} and perhaps {order} and {spec}: files of the tokens in "
        "order, of the ids of the examples and of the run, and the folder for the model"
    )
    format: Literal["npy", "bin", "mds"] = Field(
        "npy",
        description="of the tokens: npy memory map; the same numbers without a header; or a folder "
        "of MDS shards, as MosaicML's streaming reads",
    )
    needs: EngineNeeds = Field(default_factory=EngineNeeds, description="what it asks for")


class Training(Strict):
    """How models are trained; a scale may say otherwise."""

    engine: str | EngineCommand = Field(
        "native",
        description="native: proxyscale's own; llm-foundry: MPT in its own environment; a "
        "plugin's; or a command of your own",
    )
    tokens: Count | None = Field(
        None, description="token budget; default: tokens_per_parameter × P"
    )
    tokens_per_parameter: Positive = Field(
        20.0, description="Chinchilla's 20, or what the time allows"
    )
    batch_tokens: Count = Field(512, description="tokens in an optimizer step")
    learning_rate: Positive = Field(
        3e-2, description="peak, for embeddings, positions, norms and head"
    )
    hidden_learning_rate: Positive = Field(
        3e-3, description="peak at base_width, for hidden matrices; falls as 1/width under mup"
    )
    learning_rate_factor: Positive = Field(
        1.0,
        description="of all learning rates; below 1 at one scale it makes a variant of its proxy, "
        "which may rank better (2512.24503)",
    )
    weight_decay: NonNegative = Field(0.0, description="decoupled")
    betas: tuple[Share, Share] = Field((0.9, 0.95), description="AdamW's")
    eps: Positive = Field(1e-8, description="AdamW's")
    clip: Positive = Field(1.0, description="gradient norm, at most")
    warmup: Share = Field(0.05, description="share of the steps")
    final_learning_rate: Annotated[float, NUMBER, Field(ge=0, le=1)] = Field(
        0.1, description="of the peak, at the end of the cosine"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 on CUDA, else fp32"
    )


DeviceName = Literal["auto", "cpu", "a40", "a100", "h100", "h200"]
DEVICE = "what jobs run on, for which they ask memory and time: cpu asks for no GPU; auto: the "
DEVICE += "GPUs that are there, else CPUs; on a cluster any GPU, of 48 GB at least"


class Execution(Strict):
    """How runs are executed, which changes nothing but the rounding; a scale may say otherwise."""

    device: DeviceName = Field("auto", description=DEVICE)
    gpus: NonNegative = Field(
        0,
        description="of one run: several share its batches; 0.25: four runs on one at once; 0: "
        "one, if there is any",
    )
    nodes: Few = Field(
        1, description="machines that share the GPUs of one run alike; more than one on Slurm alone"
    )
    launcher: str = Field(
        "srun --kill-on-bad-exit --nodes={nodes} --ntasks={nodes} --cpus-per-task={gpus}",
        min_length=1,
        description="what starts a torchrun on each of several nodes, of `gpus` GPUs each",
    )
    sharded: bool | None = Field(
        None,
        description="the GPUs of a run each hold a part of its weights and moments (FSDP2); null: "
        "where all of them would not fit into a GPU",
    )
    micro_batch_tokens: Count | None = Field(
        None, description="tokens whose gradients one GPU takes at a time; default: a whole batch"
    )
    compile: bool = Field(False, description="torch.compile: a minute first, then faster on GPUs")
    checkpoint_minutes: Positive | None = Field(
        30, description="between two checkpoints, from which an interrupted run goes on"
    )
    foundry: str = Field(
        ".foundry/bin/python", description="the interpreter that has llm-foundry (`make foundry`)"
    )


if typing.TYPE_CHECKING:

    class Scale(Strict):
        """A model size: any key of `model`, `training` and `execution`, and its seeds."""

        seeds: Seeds | None = None
        grid: bool = True
else:
    Scale = create_model(
        "Scale",
        __base__=Strict,
        __doc__="A model size: any key of `model`, `training` and `execution`, and its seeds.",
        **optional(Model),
        **optional(Training),
        **optional(Execution),
        seeds=(Seeds | None, Field(None, description="number or list, if not the study's")),
        grid=(
            bool,
            Field(True, description="false: no scale of the comparison, only where it is named"),
        ),
    )
