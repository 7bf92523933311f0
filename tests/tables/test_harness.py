"""Files that lm-evaluation-harness wrote are read as what it measured (`make test-lm-eval`)."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from proxyscale.statistics.all_statistics import every_statistic
from proxyscale.study.own_runs_config import OwnRuns
from proxyscale.study.validation import validated
from proxyscale.tables.runs import OutsideRuns, read_outside_runs

pytestmark = [
    pytest.mark.lm_eval,
    pytest.mark.skipif(not importlib.util.find_spec("lm_eval"), reason="lm_eval is not here"),
]

MODELS = [f"models/{recipe}-{scale}" for scale in ("1M", "1B") for recipe in ("a", "b-c", "d", "e")]
PATTERN = "models/{recipe}-{scale}"
# Tiny models of random weights, measured and written by the program itself.
THERE = """
import json, sys, torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from lm_eval import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager
words = ["<unk>", "<end>", *"abcdefgh"]
inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
inner.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=inner, unk_token="<unk>", eos_token="<end>", pad_token="<end>"
)
shape = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
tasks, found = TaskManager(include_path="tasks", include_defaults=False), {}
for seed, name in enumerate(sys.argv[1:]):
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), initializer_range=1.0, **shape))
    model.save_pretrained(name)
    tokenizer.save_pretrained(name)
    tracker = EvaluationTracker(output_path="out")
    told = simple_evaluate(
        "hf", model_args=f"pretrained={name},dtype=float32", tasks=["choice", "text"],
        device="cpu", task_manager=tasks, evaluation_tracker=tracker, bootstrap_iters=0,
    )
    samples = told.pop("samples")
    tracker.save_results_aggregated(results=told, samples=samples)
    for task in told["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])
    found[name] = {
        "results": told["results"],
        "acc": [s["acc"] for s in samples["choice"]],
        "logs": [float(s["filtered_resps"][0][0]) for s in samples["text"]],
    }
print(json.dumps(found))
"""


def write_tasks(root: Path) -> None:
    """A task of four choices, and one of the likelihood of a text."""
    rng = np.random.default_rng(0)
    records = [
        {
            "question": " ".join(rng.choice(list("abcdefgh"), 4)),
            "choices": [f"{a} {b}" for a, b in rng.choice(list("abcdefgh"), (4, 2))],
            "gold": int(rng.integers(4)),
        }
        for _ in range(24)
    ]
    (root / "records.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    common = f"""
dataset_path: json
dataset_kwargs: {{data_files: {{test: {root / "records.jsonl"}}}}}
test_split: test
doc_to_text: "{{{{question}}}}"
"""
    (root / "tasks").mkdir()
    (root / "tasks" / "choice.yaml").write_text(
        "task: choice\noutput_type: multiple_choice\ndoc_to_choice: choices\ndoc_to_target: gold\n"
        "metric_list: [{metric: acc}, {metric: acc_norm}]" + common
    )
    (root / "tasks" / "text.yaml").write_text(
        'task: text\noutput_type: loglikelihood\ndoc_to_target: " {{choices[0]}}"\n'
        "metric_list: [{metric: perplexity}]" + common
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of the program's files, and what it measured by model."""
    root = tmp_path_factory.mktemp("lm_eval_files")
    write_tasks(root)
    program = [sys.executable, "-c", THERE, *MODELS]
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(root / "cache")}
    paths = os.pathsep.join(str(Path(p).resolve()) for p in sys.path if p)
    done = subprocess.run(
        program,
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, **offline, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return root, json.loads(done.stdout.splitlines()[-1])


def read(path: Path, **changes: Any) -> OutsideRuns:
    config = {"reference": "1B", "runs": {"table": str(path), **changes}}
    return read_outside_runs({"": [str(path)]}, validated(OwnRuns, config).runs.model_dump())


def statistics(found: OutsideRuns, task: str) -> list[Any]:
    words = {"reference": "1B", "groups": {}, "confidence": 0.95}
    rows = every_statistic(found.losses, found.runs, words).to_pylist()
    return [[r["statistic"], r["example"], r["value"]] for r in rows if r["task"] == task]


def test_examples_are_those_that_were_measured(
    measured: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root, told = measured
    found = read(root / "out", pattern=PATTERN)
    rows = []
    for name in MODELS:
        recipe, _, scale = name.removeprefix("models/").rpartition("-")
        place = {"scale": scale, "recipe": recipe}
        rows += [{**place, "example": i, "acc": v} for i, v in enumerate(told[name]["acc"])]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    expected = read(tmp_path / "t.csv", metrics="acc", direction="higher")
    assert statistics(found, "choice/acc") == statistics(expected, "acc")
    assert len(statistics(found, "choice/acc")) > 24
    # what its samples call perplexity is the log-likelihood of the example: higher is better
    frame = found.losses.to_pandas()
    better = frame.groupby("task")["better"].first().to_dict()
    assert better["text/loglikelihood"] == "higher"
    logs = frame[frame["task"] == "text/loglikelihood"]
    for name in MODELS:
        recipe, _, scale = name.removeprefix("models/").rpartition("-")
        mine = logs[(logs["scale"] == scale) & (logs["distribution"] == recipe)]
        np.testing.assert_allclose(-mine["loss"], told[name]["logs"], rtol=1e-6)
    # and their mean's exponential is what it calls so among the results
    assert better["text/perplexity"] == "lower"


def test_results_are_those_that_were_told(measured: tuple[Path, dict[str, Any]]) -> None:
    root, told = measured
    for path in (root / "out").rglob("samples_*.jsonl"):
        path.unlink()
    frame = read(root / "out", pattern=PATTERN).losses.to_pandas()
    assert set(frame["task"]) == {"choice/acc", "choice/acc_norm", "text/perplexity"}
    for row in frame.to_dict("records"):
        task, metric = row["task"].split("/")
        own = told[f"models/{row['distribution']}-{row['scale']}"]["results"]
        sign = -1 if row["better"] == "higher" else 1
        assert sign * row["loss"] == pytest.approx(own[task][f"{metric},none"], rel=1e-6)
