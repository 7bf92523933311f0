"""Every mistake is told with its key, its value, what is allowed and the nearest name."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from conftest import ROOT

from proxyscale.config import read_yaml
from proxyscale.errors import UserError, UserErrors
from proxyscale.explain import explain, schema
from proxyscale.study import Study

REMOVE = object()


def spoil(raw: dict[str, Any], path: str, value: Any) -> None:
    """Set (or remove) the key at a dotted path."""
    *parents, last = path.split("/")
    for key in parents:
        raw = raw.setdefault(key, {})
    if value is REMOVE:
        del raw[last]
    else:
        raw[last] = value


BAD = [
    # (path, value, what the message must hold)
    ("studdy", "x", ["studdy: no such key", "did you mean 'study'?"]),
    ("study", "a/b", ["study: is 'a/b'", "pattern"]),
    ("study", "", ["study: is ''"]),
    ("results", 3, ["results: is 3", "string"]),
    ("seed", -1, ["seed: is -1", "greater than or equal to 0"]),
    ("seed", "one", ["seed: is 'one'", "integer"]),
    ("seeds", 0, ["seeds: is 0"]),
    ("seeds", "two", ["seeds: is 'two'"]),
    ("seeds", [-1], ["1 mistake", "seeds.0: is -1: input should be greater than or equal to 0"]),
    ("seeds", True, ["1 mistake", "seeds: is True: a number is wanted, not a truth value"]),
    ("seeds", [1.5], ["1 mistake", "seeds.0: is 1.5", "integer"]),
    ("study", None, ["study: is None", "string"]),
    ("results", "", ["results: is ''", "at least 1 character"]),
    ("plugins", [3], ["plugins: no such plugin file: 3"]),
    ("plugins", "x.py", ["plugins: is 'x.py'", "list"]),
    ("plugins", ["no/such.py"], ["plugins: no such plugin file: no/such.py"]),
    ("code", "loose", ["code: is 'loose'", "allowed: strict, off"]),
    ("confidence", 1.0, ["confidence: is 1.0", "less than 1"]),
    ("confidence", 0.1, ["confidence: is 0.1"]),
    ("sources", REMOVE, ["sources: this key is required", "hint: the corpora"]),
    ("sources", {}, ["sources: is {}", "at least 1"]),
    ("sources", ["a"], ["sources: is ['a']"]),
    ("sources/a/holdot", 0.1, ["sources.a.holdot: installed has no option 'holdot'"]),
    ("sources/a/holdout", 1.5, ["sources.a.holdout: is 1.5", "less than 1"]),
    ("sources/a/holdout", 0.95, ["sources.a: holdout and target leave nothing for the pool"]),
    ("sources/a/max_bytes", 0, ["sources.a.max_bytes: is 0"]),
    ("sources/a/minimum_length", "long", ["sources.a.minimum_length: is 'long'", "integer"]),
    ("sources/a/part", REMOVE, ["sources.a: installed needs the option 'part'"]),
    (
        "sources/c",
        {"part": "code"},
        ["sources.c: one key must say what kind", "files, hub, installed"],
    ),
    ("sources/c", {"file": "x.txt"}, ["sources.c", "did you mean 'files'?"]),
    ("sources/c", {"files": "x", "hub": "y"}, ["sources.c: one key must say what kind"]),
    ("sources/c", {"hub": "allenai/c4"}, ["sources.c: hub needs the option 'revision'"]),
    (
        "sources/c",
        {"hub": "allenai/c4", "revision": "main"},
        ["sources.c.revision: allenai/c4 needs a pinned revision", "datasets/allenai/c4/commits"],
    ),
    ("sources/c", {"files": 3}, ["1 mistake", "sources.c.files: is 3", "string"]),
    ("sources/a", None, ["sources.a: is None"]),
    ("sources/a b", {"files": "x"}, ["sources.a b"]),
    ("tokenizer", {}, ["tokenizer: give one of train, file and hub, not none"]),
    (
        "tokenizer/file",
        "x.json",
        ["tokenizer: give one of train, file and hub, not train and file"],
    ),
    (
        "tokenizer",
        {"hub": "gpt2"},
        ["tokenizer.revision: gpt2 needs a pinned revision", "tokenizer.pad_vocabulary_to: a"],
    ),
    (
        "tokenizer",
        {"hub": "gpt2", "revision": "0" * 40},
        ["1 mistake", "tokenizer.pad_vocabulary_to: a tokenizer from the hub needs the size"],
    ),
    ("tokenizer/file", 3, ["tokenizer.file: is 3"]),
    ("tokenizer/vocabulary", 100, ["tokenizer.vocabulary: is 100", "257"]),
    ("tokenizer/train", "wordpiece", ["tokenizer.train: is 'wordpiece'", "allowed: bpe"]),
    ("tokenizer/vocab", 500, ["tokenizer.vocab: no such key", "did you mean 'vocabulary'?"]),
    ("pool/length", 1, ["pool.length: is 1"]),
    ("pool/lenght", 16, ["pool.lenght: no such key", "did you mean 'length'?"]),
    ("tasks", {}, ["tasks: is {}"]),
    ("tasks/t/kind", "txt", ["tasks.t: no task is named 'txt'", "did you mean 'text'?"]),
    ("tasks/t/kind", REMOVE, ["tasks.t.kind: this key is required"]),
    ("tasks/t/sources", ["c"], ["tasks.t.sources: no source is named 'c'", "allowed: a, b"]),
    ("tasks/t/records", {"files": "x"}, ["tasks.t: give either sources or records"]),
    ("tasks/t/sources", REMOVE, ["tasks.t: give either sources or records"]),
    ("tasks/t/sources", [3], ["1 mistake", "tasks.t.sources.0: is 3"]),
    ("tasks/p/records", [], ["tasks.p.records: is []"]),
    ("tasks/p/records", {}, ["tasks.p.records: give one of files and hub, not neither"]),
    ("tasks/p/records", {"file": "x"}, ["tasks.p.records.file", "did you mean 'files'?"]),
    (
        "tasks/p/records",
        {"files": "x", "hub": "y", "revision": "0" * 40},
        ["tasks.p.records: give one of files and hub, not files and hub"],
    ),
    (
        "tasks/p/records",
        {"holdout": {"hub": "squad"}, "target": {"files": "x"}},
        ["1 mistake", "tasks.p.records.holdout.revision: squad needs a pinned revision"],
    ),
    ("tasks/p/records", {"target": {"files": "x"}}, ["tasks.p.records: a target alone"]),
    (
        "tasks/p/records",
        {"files": "x", "holdout": {"files": "y"}},
        ["tasks.p.records: files: say it below holdout and target"],
    ),
    ("tasks/p/records/split", "test", ["tasks.p.records.split: only a dataset of the hub"]),
    ("tasks/p/records/limit", 0, ["tasks.p.records.limit: is 0"]),
    ("tasks/p/prompt", "{q", ["tasks.p: no template: '{q'", "hint: a field is {name}"]),
    ("tasks/p/prompt", "{}", ["tasks.p: a field without a name in '{}'"]),
    ("tasks/p/continuation", REMOVE, ["tasks.p: a prompt needs either `continuation` or"]),
    ("tasks/p/choices", ["{q}"], ["tasks.p: a prompt needs either `continuation` or"]),
    ("tasks/t/examples", 0, ["tasks.t.examples: is 0"]),
    ("tasks/t/colour", "red", ["tasks.t.colour: text has no option 'colour'", "column"]),
    ("tasks/p/prompt", REMOVE, ["tasks.p: prompt needs the option 'prompt'"]),
    ("tasks/p/target", -1, ["tasks.p.target: is -1"]),
    ("selection/size", 0, ["selection.size: is 0"]),
    ("selection/candidates", 10, ["distributions.mix: 50 examples cannot be chosen from 10"]),
    ("distributions/mix/method", "radnom", ["distributions.mix", "did you mean 'random'?"]),
    ("distributions/mix/role", "main", ["distributions.mix.role: is 'main'", "grid, proxy"]),
    ("distributions/mix/draws", 0, ["distributions.mix.draws: is 0"]),
    ("distributions/mix/noise", "normal", ["distributions.mix.noise: is 'normal'", "gumbel"]),
    ("distributions/mix/weight", 1, ["distributions.mix.weight: random has no option 'weight'"]),
    (
        "distributions/a/sources",
        "aa",
        ["distributions.a: no source is named 'aa'", "did you mean 'a'?"],
    ),
    ("distributions/a/candidate_sources", ["c"], ["candidate_sources: no source is named 'c'"]),
    ("distributions/a/candidate_sources", [], ["distributions.a.candidate_sources: is []"]),
    ("sources/a/shards", 0, ["sources.a.shards: is 0"]),
    ("tasks/p/records/data_dir", "x", ["tasks.p.records.data_dir: only a dataset of the hub"]),
    ("distributions/a/task", "tt", ["distributions.a.task: no task is named 'tt'"]),
    ("distributions/a/scale", "smal", ["distributions.a.scale", "did you mean 'small'?"]),
    ("distributions/a/scored_on", "m", ["distributions.a.scored_on: no distribution is named 'm'"]),
    ("distributions/a/scored_on", "a", ["distributions.a.scored_on: scored on itself: a → a"]),
    (
        "distributions/d",
        {"method": "dsdm"},
        ["distributions.d: dsdm needs the key 'task'", "'scale'"],
    ),
    ("distributions/d", {"method": "dsir"}, ["distributions.d: dsir needs the key 'task'"]),
    (
        "distributions/a/scale",
        "small",
        ["distributions.a: source needs the key 'task'", "'scored_on'"],
    ),
    (
        "distributions/d",
        {"method": "dirichlet", "count": 3, "lwo": 1},
        ["1 mistake\n", "distributions.d.lwo: dirichlet has no option 'lwo'"],
    ),
    ("distributions/d", {"method": "dirichlet", "count": 0}, ["distributions.d.count: is 0"]),
    ("sources/a/max_bytes", 300, ["distributions.a: 50 examples cannot be chosen from a: by max"]),
    ("attribution/models", 0, ["attribution.models: is 0"]),
    ("attribution/dimensions", 4, ["attribution.dimensions", "did you mean 'dimension'?"]),
    ("groups", {"g": ["mix", "a"]}, ["groups.g: a correlation needs three"]),
    ("groups", {"g": ["mix", "a", "x"]}, ["groups.g: no distribution is named 'x'"]),
    ("groups", {"all": ["mix", "a", "b"]}, ["groups.all: `all` is the group of every"]),
    ("groups", {"g": ["mix", "mix", "a"]}, ["groups.g: a distribution stands twice"]),
    ("model/family", "mamba", ["model.family: is 'mamba'"]),
    ("model/widht", 3, ["model.widht: no such key", "did you mean 'width'?"]),
    ("model/mlp_ratio", 0, ["model.mlp_ratio: is 0"]),
    ("model/parametrization", "ntk", ["model.parametrization: is 'ntk'", "mup, standard"]),
    ("training/learning_rate", 0, ["training.learning_rate: is 0"]),
    ("training/learning_rate", float("inf"), ["training.learning_rate", "finite"]),
    ("training/betas", [0.9], ["training.betas"]),
    ("training/warmup", 2, ["training.warmup: is 2"]),
    ("training/precision", "fp8", ["training.precision: is 'fp8'", "auto, fp32, bf16"]),
    ("training/batch_tokens", 40, ["batch_tokens 40 is no multiple of the context 16"]),
    ("scales", {"large": {"width": 8, "layers": 1}}, ["scales", "at least 2"]),
    ("scales/small/width", REMOVE, ["scales.small: the scale has no width"]),
    ("scales/small/depth", 2, ["scales.small.depth: no such key"]),
    ("scales/small/width", "wide", ["scales.small.width: is 'wide'"]),
    ("scales/small/heads", 3, ["scales.small: width 8 is no multiple of 3 heads"]),
    ("scales/small/context", 5, ["scales.small.context: context 5 does not divide pool.length 16"]),
    ("scales/small/tied", True, ["scales.small.tied: tied embeddings have no mup readout"]),
    ("scales/small/gpus", 1.5, ["scales.small.gpus: 1.5 GPUs are no whole number"]),
    ("execution/gpu", 1, ["execution.gpu: no such key", "did you mean 'gpus'?"]),
    (
        "training/engine",
        "foundry",
        ["training.engine: is 'foundry'", "allowed: native, llm-foundry"],
    ),
    ("scales/small/seeds", [], ["scales.small.seeds"]),
    ("reference", REMOVE, ["reference: this key is required"]),
    ("reference", "big", ["reference: no scale is named 'big'", "small, large"]),
    ("reference", "small", ["reference: large costs more compute than the reference small"]),
    ("figures/proxy", "tiny", ["figures.proxy: no scale is named 'tiny'"]),
    ("figures/proxy", "large", ["figures.proxy: the proxy is the reference"]),
    ("figures/style", {"correlation_fig1": 3}, ["figures.style.correlation_fig1: is 3"]),
    (
        "figures/style",
        {"corelation_fig1": {}},
        ["figures.style: no figure is named", "did you mean 'correlation_fig1'?"],
    ),
    ("figures/stile", {}, ["figures.stile: no such key", "did you mean 'style'?"]),
]


def test_the_minimal_study_is_valid(minimal) -> None:
    study = Study.load(minimal)
    assert study.proxies == ["small"]
    assert len(study.runs) == 2 * 3 * 2


@pytest.mark.parametrize(
    ("path", "value", "told"), BAD, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_mistake_is_told(minimal, path, value, told) -> None:
    spoil(minimal, path, value)
    with pytest.raises(UserError) as caught:
        Study.load(minimal)
    for words in told:
        assert words in str(caught.value)


def test_cycles_through_scored_on_are_refused(minimal) -> None:
    scored = {"method": "dsdm", "task": "t", "scale": "small"}
    minimal["distributions"]["d"] = {**scored, "scored_on": "e"}
    minimal["distributions"]["e"] = {**scored, "scored_on": "d"}
    with pytest.raises(UserErrors, match="scored on itself: d → e → d") as caught:
        Study.load(minimal)
    assert len(caught.value.errors) == 1


def test_all_mistakes_of_one_reading_are_told(minimal) -> None:
    minimal["seed"] = -1
    minimal["pool"]["lenght"] = 3
    minimal["scales"]["small"]["width"] = 0
    with pytest.raises(UserErrors) as caught:
        Study.load(minimal)
    assert len(caught.value.errors) == 3
    assert str(caught.value).startswith("3 mistakes\n- ")


def test_a_key_said_twice_is_refused(tmp_path) -> None:
    (tmp_path / "c.yaml").write_text("study: a\nseed: 1\nstudy: b\n")
    with pytest.raises(UserError, match="'study' stands twice, again in line 3"):
        read_yaml(tmp_path / "c.yaml")


@pytest.mark.parametrize(("text", "told"), [("a: [", "not YAML"), ("- a\n", "a mapping of keys")])
def test_what_is_no_mapping_is_refused(tmp_path, text, told) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=told):
        read_yaml(tmp_path / "c.yaml")


def test_the_slice_of_a_job_ignores_key_order(minimal) -> None:
    other = {key: minimal[key] for key in reversed(minimal)}
    other["scales"]["small"] = {"layers": 1, "width": 8}
    a, b = Study.load(minimal), Study.load(other)
    assert a.train("small", "mix", 0, 1) == b.train("small", "mix", 0, 1)
    assert a.select("mix") == b.select("mix")


def test_a_smaller_learning_rate_makes_a_variant_of_a_scale(minimal) -> None:
    minimal["scales"]["slow"] = {**minimal["scales"]["small"], "learning_rate_factor": 0.25}
    study = Study.load(minimal)
    assert study.proxies == ["small", "slow"]
    small, slow = study.scales["small"], study.scales["slow"]
    assert small.flops == slow.flops
    for key in ("learning_rate", "hidden_learning_rate"):
        assert slow.training[key] == small.training[key] / 4
    changed = {key for key in slow.training if slow.training[key] != small.training[key]}
    assert changed == {"learning_rate", "hidden_learning_rate"}


def test_the_default_study_is_what_it_says() -> None:
    study = Study.load(yaml.safe_load((ROOT / "config.yaml").read_text()))
    cheapest, reference = study.scales[study.proxies[0]], study.scales[study.config.reference]
    assert reference.flops / cheapest.flops >= 175
    assert len(study.scales) >= 5
    per_parameter = [scale.tokens / scale.parameters for scale in study.scales.values()]
    assert max(per_parameter) / min(per_parameter) < 1.02
    assert all(len(scale.seeds) >= 2 for scale in study.scales.values())


def test_the_schema_is_up_to_date() -> None:
    written = (ROOT / "workflow/schemas/study.schema.json").read_text()
    assert written == schema(), "run: proxyscale schema > workflow/schemas/study.schema.json"


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", "sources"),
        ("training.tokens", "token budget"),
        ("sources", "installed: Text of installed"),
        ("sources.holdout", "only ever measured"),
        ("sources.docs.holdout", "only ever measured"),
        ("scales.xs.width", "residual width"),
        ("tasks.text", "column"),
        ("distributions.random", "random"),
        ("runs", "columns"),
        ("runs.columns.recipe", "training data"),
        ("runs.scales.60M.tokens", "training tokens"),
    ],
)
def test_explain(key, told) -> None:
    assert told in explain(key)


def test_explain_offers_the_nearest_key() -> None:
    with pytest.raises(UserError, match="did you mean 'tokens'"):
        explain("training.token")


def test_one_entry_may_stand_for_many_distributions(minimal) -> None:
    minimal["distributions"]["drawn"] = {"method": "dirichlet", "count": 50, "low": 0.5}
    minimal["groups"] = {"mixtures": ["mix", "drawn"]}
    study = Study.load(minimal)
    names = [f"drawn-{i:03d}" for i in range(50)]
    assert study.grid == ["mix", "a", "b", *names]
    assert json.loads(study.statistics())["groups"] == {"mixtures": ["mix", *names]}
    slices = {study.select(name) for name in names}
    assert len(slices) == 50
    minimal["distributions"]["drawn"]["count"] = 51
    assert {Study.load(minimal).select(name) for name in names} == slices


def test_members_of_a_family_are_distributions_like_others(minimal) -> None:
    minimal["tasks"]["p"]["target_examples"] = 10
    scored = {"method": "dsdm", "task": "p", "scored_on": "drawn-001", "scale": "small"}
    minimal["distributions"] |= {"drawn": {"method": "dirichlet", "count": 2}, "d": scored}
    assert Study.load(minimal).scoring("d") == ("small", "drawn-001", "all", "p")
    minimal["distributions"]["drawn-001"] = {"method": "random"}
    with pytest.raises(UserErrors, match="distributions: two distributions are named 'drawn-001'"):
        Study.load(minimal)


def test_as_many_models_score_as_are_asked_for(minimal) -> None:
    minimal["attribution"] = {"models": 3}
    minimal["distributions"] |= {
        "proxy": {"method": "random", "role": "proxy", "draws": 2},
        "d": {"method": "dsdm", "task": "p", "scored_on": "proxy", "scale": "small"},
    }
    study = Study.load(minimal)
    assert [run[2:] for run in study.scoring_runs] == [(0, 0), (1, 0), (0, 1)]
    assert set(study.trained) == {*study.runs, *study.scoring_runs}
    minimal["attribution"]["models"] = 5
    with pytest.raises(UserErrors, match=r"proxy has 4 at small: 2 draws, 2 seeds"):
        Study.load(minimal)


@pytest.mark.parametrize(
    "without",
    [
        {"kind": "text", "sources": ["a"], "target_examples": 0},
        {"kind": "text", "sources": ["b"]},
        {"kind": "text", "records": {"files": "x"}, "target": 0},
        {"kind": "text", "records": {"holdout": {"files": "x"}}},
    ],
)
def test_a_task_to_select_for_has_target_examples(minimal, without) -> None:
    minimal["sources"]["b"]["target"] = 0
    minimal["tasks"]["t"] = without
    minimal["distributions"]["d"] = {"method": "dsir", "task": "t"}
    with pytest.raises(UserErrors, match=r"d\.task: the task t has no target examples"):
        Study.load(minimal)
