"""Every mistake is told with its key, its value, what is allowed and the nearest name."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from support.mistakes import BAD, spoil
from support.paths import ROOT

from proxyscale.base.errors import UserError, UserErrors
from proxyscale.cli.explain import explain, keys, keys_table, meaning, schema
from proxyscale.study.config import Config
from proxyscale.study.language_study import LanguageStudy
from proxyscale.study.models_config import OwnModels
from proxyscale.study.own_runs_config import OwnRuns
from proxyscale.study.validation import read_yaml


def test_the_minimal_study_is_valid(minimal) -> None:
    study = LanguageStudy.load(minimal)
    assert study.proxies == ["small"]
    assert len(study.runs) == 2 * 3 * 2


@pytest.mark.parametrize(
    ("path", "value", "told"), BAD, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_mistake_is_told(minimal, path, value, told) -> None:
    spoil(minimal, path, value)
    with pytest.raises(UserError) as caught:
        LanguageStudy.load(minimal)
    for words in told:
        assert words in str(caught.value)


def test_a_folder_for_results_is_found_at_home(minimal, monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/of one")
    monkeypatch.setenv("PLACE", "there")
    for told, meant in (
        ("~/x/", "/home/of one/x"),
        ("${PLACE}/x", "there/x"),
        ("a b~/c", "a b~/c"),
    ):
        minimal["results"] = told
        assert LanguageStudy.load(minimal).config.results == meant


def test_cycles_through_scored_on_are_refused(minimal) -> None:
    scored = {"method": "dsdm", "task": "t", "scale": "small"}
    minimal["distributions"]["d"] = {**scored, "scored_on": "e"}
    minimal["distributions"]["e"] = {**scored, "scored_on": "d"}
    with pytest.raises(UserErrors, match="scored on itself: d → e → d") as caught:
        LanguageStudy.load(minimal)
    assert len(caught.value.errors) == 1


def test_all_mistakes_of_one_reading_are_told(minimal) -> None:
    minimal["seed"] = -1
    minimal["pool"]["lenght"] = 3
    minimal["scales"]["small"]["width"] = 0
    with pytest.raises(UserErrors) as caught:
        LanguageStudy.load(minimal)
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
    a, b = LanguageStudy.load(minimal), LanguageStudy.load(other)
    assert a.spec("train", "small", "mix", 0, 1) == b.spec("train", "small", "mix", 0, 1)
    assert a.spec("select", "mix") == b.spec("select", "mix")


def test_a_smaller_learning_rate_makes_a_variant_of_a_scale(minimal) -> None:
    minimal["scales"]["slow"] = {**minimal["scales"]["small"], "learning_rate_factor": 0.25}
    study = LanguageStudy.load(minimal)
    assert study.proxies == ["small", "slow"]
    small, slow = study.scales["small"], study.scales["slow"]
    assert small.flops == slow.flops
    for key in ("learning_rate", "hidden_learning_rate"):
        assert slow.training[key] == small.training[key] / 4
    changed = {key for key in slow.training if slow.training[key] != small.training[key]}
    assert changed == {"learning_rate", "hidden_learning_rate"}


def test_the_default_study_is_what_it_says() -> None:
    study = LanguageStudy.load(yaml.safe_load((ROOT / "config.yaml").read_text()))
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
        ("figures.style", "width: float  (default: 5.5)"),
        ("figures.style.frontier.width", "width: float"),
        ("sources.installed.part", "part"),
        ("distributions.random", "random"),
        ("runs", "columns"),
        ("runs.columns.recipe", "training data"),
        ("runs.scales.60M.tokens", "training tokens"),
        ("training.engine.format", "memory map"),
        ("trust", "regret  the expected regret"),
        ("trust.compute", "the factor to stay below"),
        ("objective.weights", "the weight of each task"),
    ],
)
def test_explain(key, told) -> None:
    assert told in explain(key)


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("training.token", "'tokens'"),
        ("dsdm", "distributions.dsdm"),
        ("parametrization", "model.parametrization"),
        ("tokens_per_paramter", "training.tokens_per_parameter"),
        ("scales.xs.widht", "'width'"),
        ("tasks.sqad", "'squad'"),
        ("sources.installed.pakages", "'part'|allowed: installed"),
        ("figures.style.frontie", "'frontier'"),
        ("training.betas.first", "no such key"),
        ("training.engine.formt", "'format'"),
        ("trust.regrets", "'regret'"),
        ("tasks.t.records.holdout.target", "no such key"),
        ("tasks.foo", "allowed: .*squad"),
    ],
)
def test_explain_offers_the_nearest_key_wherever_it_is(key: str, near: str) -> None:
    with pytest.raises(UserError, match=near) as told:
        explain(key)
    assert "…" not in str(told.value)  # lists are whole


def test_off_needs_no_quotes(minimal: dict[str, Any]) -> None:
    raw = yaml.safe_load(yaml.safe_dump(minimal) + "code: off\n")
    assert raw["code"] is False
    assert LanguageStudy.load(raw).config.code == "off"


def test_explain_tells_something_of_every_key() -> None:
    for root in (Config, OwnRuns, OwnModels):
        for key, field in keys(root):
            assert meaning(field), key
            assert "None" not in explain(key)


def test_the_table_of_keys_is_up_to_date() -> None:
    written = (ROOT / "workflow/schemas/keys.md").read_text()
    assert written == keys_table(), "run: proxyscale explain --all > workflow/schemas/keys.md"


def test_one_entry_may_stand_for_many_distributions(minimal) -> None:
    minimal["distributions"]["drawn"] = {"method": "dirichlet", "count": 50, "low": 0.5}
    minimal["groups"] = {"mixtures": ["mix", "drawn"]}
    study = LanguageStudy.load(minimal)
    names = [f"drawn-{i:03d}" for i in range(50)]
    assert study.grid == ["mix", "a", "b", *names]
    assert study.words("statistics")["groups"] == {"mixtures": ["mix", *names]}
    slices = {study.spec("select", name) for name in names}
    assert len(slices) == 50
    minimal["distributions"]["drawn"]["count"] = 51
    assert {LanguageStudy.load(minimal).spec("select", name) for name in names} == slices


def test_members_of_a_family_are_distributions_like_others(minimal) -> None:
    minimal["tasks"]["p"]["target_examples"] = 10
    scored = {"method": "dsdm", "task": "p", "scored_on": "drawn-001", "scale": "small"}
    minimal["distributions"] |= {"drawn": {"method": "dirichlet", "count": 2}, "d": scored}
    assert LanguageStudy.load(minimal).scoring("d") == ("small", "drawn-001", "all", "p")
    minimal["distributions"]["drawn-001"] = {"method": "random"}
    with pytest.raises(UserErrors, match="distributions: two distributions are named 'drawn-001'"):
        LanguageStudy.load(minimal)


def test_as_many_models_score_as_are_asked_for(minimal) -> None:
    minimal["attribution"] = {"models": 3}
    minimal["distributions"] |= {
        "proxy": {"method": "random", "role": "proxy", "draws": 2},
        "d": {"method": "dsdm", "task": "p", "scored_on": "proxy", "scale": "small"},
    }
    study = LanguageStudy.load(minimal)
    assert [run[2:] for run in study.scoring_runs] == [(0, 0), (1, 0), (0, 1)]
    assert set(study.trained) == {*study.runs, *study.scoring_runs}
    minimal["attribution"]["models"] = 5
    with pytest.raises(UserErrors, match=r"proxy has 4 at small: 2 draws, 2 seeds"):
        LanguageStudy.load(minimal)


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
        LanguageStudy.load(minimal)
