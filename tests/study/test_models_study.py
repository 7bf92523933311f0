"""Studies of models that are there: which models a config means, and what it may not say."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from proxyscale.base.errors import UserError
from proxyscale.cli.load_study import load
from proxyscale.study.models_study import ModelsStudy

CONFIG: dict[str, Any] = {
    "reference": "1B",
    "tasks": {"t": {"kind": "text", "records": {"files": "t.jsonl"}}},
    "models": {
        "hub": "lab/{recipe}-{scale}{suffix}",
        "revision": "step{step}-seed-{seed}",
        "recipes": {"web": {"suffix": ""}, "code": {"suffix": "-v2"}, "books": {"suffix": ""}},
        "scales": {"10M": {"step": [10, 20], "seed": ["default", 2]}, "1B": {"step": 90}},
        "seeds": {"default": {"revision": "main"}, "2": None},
        "tokens_per_step": 1000,
    },
}


def study(**models: Any) -> ModelsStudy:
    config = copy.deepcopy(CONFIG)
    config["models"] |= models
    found = load({k: v for k, v in config.items() if v is not None})
    assert isinstance(found, ModelsStudy)
    return found


def test_templates_name_what_recipes_scales_and_seeds_say() -> None:
    models = study().models
    assert len(models) == 3 * (2 * 2 + 2)
    places = {(m.recipe, m.scale, m.name): (m.hub, m.revision, m.tokens) for m in models}
    assert places["code", "10M", "2@20"] == ("lab/code-10M-v2", "step20-seed-2", 20_000)
    assert places["web", "1B", "default@90"] == ("lab/web-1B", "main", 90_000)


def test_a_table_has_a_row_for_each_model(tmp_path: Path) -> None:
    table = tmp_path / "models.csv"
    table.write_text(
        "recipe,scale,seed,step,parameters,tokens,folder\n"
        "web,10M,0,5,9.5M,2e8,here/a\nweb,1B,0,,1B,2e10,\ncode,1B,0,,,,\nbooks,1B,0,,,,\n"
    )
    lists = dict.fromkeys(("recipes", "scales", "revision", "hub", "tokens_per_step"))
    config = copy.deepcopy(CONFIG)
    config["models"] = {"table": str(table), "folder": "there/{recipe}-{scale}"} | {
        key: value for key, value in lists.items() if value
    }
    found = load(config)
    assert isinstance(found, ModelsStudy)
    first, second, *_ = found.models
    assert (first.folder, first.parameters, first.tokens, first.step) == ("here/a", 9.5e6, 2e8, "5")
    assert (second.folder, second.name) == ("there/web-1B", "0@end")


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"hub": "lab/{recipes}"}, "names a column 'recipes' that it does not have"),
    ({"hub": "lab/{recipe"}, "is no template"),
    ({"hub": None}, "neither hub nor folder"),
    ({"folder": "x/{scale}"}, "both hub and folder"),
    ({"revision": None, "hub": None, "folder": "x"}, "a folder has no revision"),
    ({"scales": None}, "give a table, or recipes and scales"),
    ({"table": "none.csv"}, "no such file: none.csv"),
    ({"recipes": {"a": {"suffix": ""}, "b": {"suffix": ""}}}, "2 recipes: a comparison of scales"),
    ({"recipes": ["a/b"]}, "a name has up to 100 letters"),
    ({"scales": {"1B": {"step": 90}}}, "a comparison needs two scales"),
    ({"scales": {"1B": {"step": 90}, "2B": {"step": [1, 1]}}}, "two models are 2B / web"),
    ({"tokenizer": {"hub": "lab/t", "revision": "main"}}, "needs a pinned revision"),
    ({"tokenizer": {}}, "give one of hub and folder"),
    ({"weights": "pickle"}, "is 'pickle'"),
    ({"scales": {"1B": {"tokens": "lots"}, "2B": {}}}, "tokens is 'lots', which is no size"),
    ({"scales": {"1B": {}, "2B": {}}, "revision": None}, "has no step to tell its tokens by"),
]


@pytest.mark.parametrize(("changes", "told"), MISTAKES, ids=[told for _, told in MISTAKES])
def test_mistakes_are_told(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        study(**changes)
    assert told in str(caught.value)


def test_what_only_a_training_study_has_is_refused() -> None:
    config = copy.deepcopy(CONFIG)
    config["tasks"]["t"] = {"kind": "text", "sources": ["a"], "overlap_window": 9}
    with pytest.raises(UserError) as caught:
        load(config)
    assert "models that are there have no sources" in str(caught.value)
    assert "tasks.t.overlap_window" in str(caught.value)
    with pytest.raises(UserError, match="no such key: 'training'"):
        load(CONFIG | {"training": {}})


def test_a_jobs_words_are_of_its_own_model() -> None:
    found = study()
    spec = found.spec("measure", found.models[0], "")
    assert spec == study(tokens_per_step=5, batch_tokens=64).spec(
        "measure", found.models[0], ""
    ).replace('"batch_tokens":64', '"batch_tokens":4096')
    assert found.facts.compute
    assert "compute_fig2" in found.figures
    assert not study(tokens_per_step=None).facts.compute
