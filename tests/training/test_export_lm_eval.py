"""Log-probabilities and judgements of an exported model are those of lm-evaluation-harness.

It reads the same records by task files of its own, and needs a folder of packages on PYTHONPATH
(`make test-lm-eval`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.language_runs import shaken
from support.made_tasks import build_test_set
from tokenizers import Tokenizer

from proxyscale.base import artifacts
from proxyscale.data.corpora import build_corpus
from proxyscale.data.packing import END
from proxyscale.data.pool import assemble, pack
from proxyscale.data.tokenizer import build_tokenizer
from proxyscale.study import builtin_functions  # noqa: F401 (registers the kinds)
from proxyscale.training import evaluate, export, language_model

pytestmark = [
    pytest.mark.lm_eval,
    pytest.mark.skipif(not importlib.util.find_spec("lm_eval"), reason="lm_eval is not here"),
]

LENGTH, COUNT = 160, 40
SHAPE = {"context": LENGTH, "width": 32, "layers": 2, "heads": 2, "mlp_ratio": 4, "bias": False}
SHAPE |= {"tied": False, "parametrization": "mup", "base_width": 16}
RNG = np.random.default_rng(3)
MADE = ["".join(RNG.choice(list("abcdefgh"), RNG.integers(2, 7))) for _ in range(300)]
WORDS = list(dict.fromkeys(MADE))
THERE = """
import json, sys
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
model, tasks, names = sys.argv[1], sys.argv[2], sys.argv[3:]
found = simple_evaluate(
    HFLM(pretrained=model, device="cpu", dtype="float32", batch_size=8),
    tasks=names,
    task_manager=TaskManager(include_path=tasks, include_defaults=False),
    log_samples=True,
    bootstrap_iters=0,
)
told = {
    name: [[s["doc"]["number"], [r[0] for r in s["resps"]]] for s in rows]
    for name, rows in found["samples"].items()
}
print(json.dumps(told))
"""


def said(count: int) -> str:
    return " ".join(RNG.choice(WORDS, count))


def records(kind: str) -> list[dict[str, Any]]:
    """Numbered records in the kind's own fields; no two of them have the same right answer."""
    made: list[dict[str, Any]] = []
    for number in range(COUNT):
        right = f"{said(int(RNG.integers(1, 5)))} {WORDS[number]}"
        others = [said(int(n)) for n in RNG.integers(1, 6, 3)]
        choices = [*others[: number % 4], right, *others[number % 4 :]]
        fields: dict[str, dict[str, Any]] = {
            "squad": {
                "context": said(20),
                "question": said(6),
                "answers": {"text": [right], "answer_start": [0]},
            },
            "lambada": {"text": f"{said(20)} {right}"},
            "trivia": {"question": said(8) + "?", "answer": {"value": right}},
            "hellaswag": {
                "activity_label": said(1),
                "ctx_a": said(6) + ".",
                "ctx_b": said(2),
                "endings": choices,
                "label": number % 4,
            },
            "icl": {"query": said(6), "choices": choices, "gold": number % 4},
        }
        made.append({"number": number, **fields[kind]})
    return made


# How lm-evaluation-harness puts the same questions; documents begin with END, as in training.
ASKED = {
    "squad": ("Context: {{context}}\nQuestion: {{question}}\nAnswer:", " {{answers.text[0]}}"),
    "lambada": ("{{text.split(' ')[:-1]|join(' ')}}", " {{text.split(' ')[-1]}}"),
    "trivia": ("Question: {{question}}\nAnswer:", " {{answer.value}}"),
    "hellaswag": ("{{activity_label}}: {{ctx_a}} {{ctx_b|capitalize}}", "label", "endings"),
    "icl": ("{{query}}", "gold", "choices"),
}


def task_file(folder: Path, kind: str, data: Path) -> None:
    """A task of lm-evaluation-harness on local records."""
    text, target, *choices = ASKED[kind]
    facts: dict[str, Any] = {
        "task": kind,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "multiple_choice" if choices else "loglikelihood",
        "doc_to_text": END + text,
        "doc_to_target": target,
        "target_delimiter": " ",  # before choices alone
        "metric_list": [{"metric": "acc"}],
    }
    if choices:
        facts["doc_to_choice"] = choices[0]
    (folder / f"{kind}.yaml").write_text(yaml.safe_dump(facts))


def opened(path: Path) -> Tokenizer:
    """A tokenizer as Hugging Face has it: the end of text is a token of its own."""
    return Tokenizer.from_str(json.dumps(artifacts.read_json(path)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tokenizer, a pool of other text and a run of random weights with its export."""
    root = tmp_path_factory.mktemp("lm_eval")
    (root / "a.jsonl").write_text("".join(f'{{"text": "{said(60)}"}}\n' for _ in range(50)))
    spec = {"kind": "files", "options": {"files": str(root / "a.jsonl")}, "seed": 0}
    build_corpus(root / "corpus", "a", spec)
    tokenizer = root / "tokenizer.json"
    build_tokenizer(tokenizer, {"a": root / "corpus"}, {"train": "bpe", "vocabulary": 400})
    pack(root / "pack", root / "corpus", tokenizer, {"source": "a", "length": 64, "seed": 0})
    assemble(root / "pool" / "manifest.json", {"a": root / "pack"})
    shape = {**SHAPE, "vocabulary": opened(tokenizer).get_vocab_size()}
    run = root / "run"
    language_model.save(language_model.weights(shaken(shape, 0.2)), run / "model.safetensors")
    artifacts.write_json(run / "manifest.json", {"model": shape})
    export.export(root / "hf", run, tokenizer)
    return {"root": root, "run": run, "tokenizer": tokenizer}


@pytest.fixture(scope="module")
def told(world: dict[str, Path]) -> dict[str, dict[int, list[tuple[float, bool]]]]:
    """Log-probability of every choice and whether it is the greedy one, by kind and record."""
    root = world["root"]
    (root / "tasks").mkdir()
    for kind in ASKED:
        lines = "".join(json.dumps(one) + "\n" for one in records(kind))
        (root / f"{kind}.jsonl").write_text(lines)
        task_file(root / "tasks", kind, root / f"{kind}.jsonl")
    program = [sys.executable, "-c", THERE, str(root / "hf"), str(root / "tasks"), *ASKED]
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(root / "cache")}
    done = subprocess.run(program, capture_output=True, text=True, env={**os.environ, **offline})
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return {kind: dict(rows) for kind, rows in found.items()}


def tokens(world: dict[str, Path], text: str) -> list[int]:
    return opened(world["tokenizer"]).encode(text).ids


@pytest.mark.parametrize("kind", ASKED)
def test_log_probabilities_are_those_of_lm_evaluation_harness(
    world: dict[str, Path], told: dict[str, Any], kind: str
) -> None:
    root, pool = world["root"], world["root"] / "pool" / "manifest.json"
    made = [json.loads(line) for line in (root / f"{kind}.jsonl").read_text().splitlines()]
    spec = {"kind": kind, "options": {}, "records": {"files": str(root / f"{kind}.jsonl")}}
    spec |= {"sources": [], "split_by": None, "overlap_window": 8, "length": LENGTH, "seed": 0}
    build_test_set(root / kind, {**spec, "examples": COUNT}, {}, world["tokenizer"], pool)
    table = artifacts.read(root / kind / "holdout.parquet", "task")
    got = evaluate.losses(language_model.load(world["run"]), table).to_pylist()
    rows = table.to_pylist()
    compared = apart = 0
    for one in got:
        choices = [row for row in rows if row["example"] == one["example"]]
        gold = next(place for place, row in enumerate(choices) if row["gold"])
        right = choices[gold]["continuation"].split()[-1]
        number = next(r["number"] for r in made if WORDS[r["number"]] == right)
        theirs = told[kind][number]
        prompts = [tokens(world, END + row["prompt"].rstrip(" ")) for row in choices]
        if any(
            row["tokens"][: row["scored_from"]] != prompt
            for row, prompt in zip(choices, prompts, strict=True)
        ):
            apart += 1
            continue
        compared += 1
        assert -one["loss"] * one["tokens"] == pytest.approx(theirs[gold][0], rel=1e-4)
        if len(choices) == 1:
            assert one["correct"] == theirs[0][1]
            continue
        sizes = [len(row["tokens"]) - row["scored_from"] for row in choices]
        means = [found[0] / size for found, size in zip(theirs, sizes, strict=True)]
        assert one["correct"] == (np.argmax(means) == gold)
    print(f"{kind}: {compared} compared, {apart} whose tokens do not join as those of the whole")
    assert compared > 0.9 * COUNT
