"""A synthetic study: plausible tables of losses, runs, statistics and curves."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.proxy_statistics import summarize

SIMILAR = ("mix", "docs", "dsdm", "bot-dsdm", "dsir", "classifier")
DISTRIBUTIONS = (*SIMILAR, "stdlib", "tests", "headers", "algebra")
TASKS = ("mix", "docs", "squad_like", "lambada_like", "hellaswag_like", "trivia_like")
SCALES = {"xxs": 18224, "xs": 27912, "s": 41120, "m": 66288, "l": 94528, "ref": 287616}
Study = dict[str, Any]


def synthetic(
    *,
    distributions: tuple[str, ...] = DISTRIBUTIONS,
    scales: dict[str, int] = SCALES,
    tasks: tuple[str, ...] = TASKS,
    seeds: int = 2,
    examples: int = 25,
    flat: str | None = None,
    falling: str | None = None,
) -> Study:
    """Tables of a study: one truth per example, blurred by small scales.

    Losses of the task `flat` are all alike; those of `falling` fall at the proxies where they rise
    at the reference.
    """
    rng = np.random.default_rng(0)
    largest = max(scales.values())
    shape = (len(distributions), len(tasks))
    truth = 0.5 * rng.normal(size=(*shape, 1)) + 0.3 * rng.normal(size=(*shape, examples))
    base = 3 + rng.random(len(tasks))[:, None] + 0.3 * rng.normal(size=(len(tasks), examples))
    runs, losses = [], []
    for scale, parameters in scales.items():
        small = 1 - parameters / largest
        means = base + small + truth + 0.12 * small * rng.normal(size=(*shape, 1))
        if falling and small:
            means[:, tasks.index(falling)] = (
                2 * base[tasks.index(falling)] - means[:, tasks.index(falling)]
            )
        for d, distribution in enumerate(distributions):
            for seed in range(seeds):
                key = {"scale": scale, "distribution": distribution, "draw": 0, "seed": seed}
                size = {"parameters": parameters, "tokens": 4 * parameters}
                runs.append(key | size | {"role": "grid", "flops": 24.0 * parameters**2})
                for t, task in enumerate(tasks):
                    loss = means[d, t] + 0.04 * rng.normal() + 0.1 * rng.normal(size=examples)
                    right = rng.random(examples) < 0.25 + 0.3 * max(0, 0.6 - small)
                    columns = {name: [value] * examples for name, value in key.items()}
                    columns |= {
                        "task": [task] * examples,
                        "example": range(examples),
                        "loss": np.full(examples, 3.0) if task == flat else loss,
                        "correct": right if task == "hellaswag_like" else [None] * examples,
                    }
                    columns["correct"] = pa.array(columns["correct"], pa.bool_())
                    losses.append(artifacts.conform(pa.table(columns), "losses"))
    all_losses = pa.concat_tables(losses)
    all_runs = artifacts.conform(pa.Table.from_pylist(runs), "runs")
    groups = {"similar": SIMILAR} if distributions == DISTRIBUTIONS else {}
    statistics = summarize(
        read_grid(all_losses, all_runs), reference=list(scales)[-1], groups=groups
    )
    style = {"chance": {"hellaswag_like": 0.25}}
    return {"statistics": statistics, "losses": all_losses, "runs": all_runs, "style": style}


def with_laws(study: Study) -> Study:
    """The study with two extrapolations from `m`, one a little better than it, one worse."""
    rows = study["statistics"].to_pylist()
    better = [
        row | {"proxy": f"{law}:m", "value": row["value"] * gain, "compute_ratio": 12.0}
        for row in rows
        if row["statistic"] == "decision_accuracy" and row["proxy"] == "m"
        for law, gain in (("law2", 1.02), ("law3", 0.9))
    ]
    table = pa.Table.from_pylist(rows + better, artifacts.SCHEMAS["statistics"])
    return study | {"statistics": table}


def with_besides(study: Study) -> Study:
    """The study with two rivals, one of which falls where `s` rises, and two checkpoints of `s`."""
    rows = study["statistics"].to_pylist()
    mine = [row for row in rows if row["proxy"] == "s" and row["level"] == "distribution"]
    said = [
        row | {"proxy": name, "level": level, "compute_ratio": row["compute_ratio"] * ratio}
        for name, level, ratio in (
            ("ngram", "rival", 1e5),
            ("overlap", "rival", 1e5),
            ("s@0.25", "checkpoint", 4.0),
            ("s@0.5", "checkpoint", 2.0),
        )
        for row in mine
    ]
    for row in said:
        if row["proxy"] == "overlap" and row["statistic"] == "pearson":
            row["value"] *= -1
    table = pa.Table.from_pylist(rows + said, artifacts.SCHEMAS["statistics"])
    return study | {"statistics": table}


def with_curves(study: Study) -> Study:
    """The study with a curve for each of its runs."""
    curves = []
    for number, run in enumerate(study["runs"].to_pylist()):
        steps = np.arange(1, run["tokens"] // 512 + 1)
        loss = 2 + 0.02 * (number % 20) + 4.9 * steps**-0.2
        keys = {key: [run[key]] * len(steps) for key in ("scale", "distribution", "draw", "seed")}
        curves.append(pa.table(keys | {"step": steps, "tokens": steps * 512, "loss": loss}))
    return study | {"curves": pa.concat_tables(curves)}


def with_texts(study: Study, prompt: str = "\tà la ℵ 漢 " * 40, scored: str = "") -> Study:
    """The study with its tasks' examples: four choices where there are accuracies, else one.

    `prompt` ends what is given, where something is; `scored` is what is asked for, else the task.
    """
    asked = {}
    for task in study["losses"]["task"].unique().to_pylist():
        mine = study["losses"].filter(pc.equal(study["losses"]["task"], task))
        choices = 4 if mine["correct"].null_count < len(mine) else 1
        rows = [
            {
                "example": example,
                "choice": choice,
                "gold": choice == example % choices,
                "tokens": [1, 2],
                "scored_from": 1,
                "prompt": "" if task == "mix" else f"What is x{example}?\n{prompt}",
                "continuation": scored or f" {task} {choice} " * 3,
            }
            for example in mine["example"].unique().to_pylist()
            for choice in range(choices)
        ]
        asked[task] = pa.Table.from_pylist(rows, artifacts.SCHEMAS["task"])
    return study | {"asked": asked}


def with_scores(study: Study, noise: float = 1.0) -> Study:
    """The study with scores of all scales held side by side: one truth and noise of each model."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=20_000)
    scales = study["runs"]["scale"].unique().to_pylist()
    models = [(scale, model) for scale in scales for model in range(2)]
    scores = [truth + noise * rng.normal(size=len(truth)) for _ in models]
    pairs, found = [], []
    for task in ("squad_like", "lambada_like"):
        for a, b in itertools.combinations(range(len(models)), 2):
            names = ("first", "first_model"), ("second", "second_model")
            row = dict(zip(names[0], models[a], strict=True))
            row |= dict(zip(names[1], models[b], strict=True))
            r = float(np.corrcoef(scores[a], scores[b])[0, 1])
            pairs.append(row | {"task": task, "spearman": r, "n": len(truth)})
        for scale, side, rank in itertools.product(scales, ("helpful", "harmful"), range(2)):
            text = f"{scale} {side} {rank}\n" + "name : bool, optional\n" * 20
            row = {"task": task, "scale": scale, "side": side, "rank": rank, "text": text}
            row |= {"example": 0, "prompt": "What? " * 60, "continuation": "bool"}
            found.append(row | {"candidate": 3, "source": "docs", "score": 2.0 - 4 * rank})
    return study | {
        "agreement": artifacts.conform(pa.Table.from_pylist(pairs), "agreement"),
        "influence": artifacts.conform(pa.Table.from_pylist(found), "influence"),
    }
