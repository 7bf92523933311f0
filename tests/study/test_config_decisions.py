"""Words of a config about decisions: sizes, extra runs, and the configs that proposals are."""

from __future__ import annotations

import pytest

from proxyscale.base.errors import UserError
from proxyscale.study.language_runs import Run
from proxyscale.study.language_study import LanguageStudy


@pytest.mark.parametrize("size", [7e9, "7e9", "7B", "7b", 7_000_000_000, "7.0 B"])
def test_sizes_are_read_alike(minimal, size):
    minimal["forecast"] = {"parameters": size, "tokens": "140B"}
    found = LanguageStudy.load(minimal).words("next_steps")["forecast"]
    assert found == {"parameters": 7e9, "tokens": 140e9}


@pytest.mark.parametrize("size", ["seven", "-7B", True, 0])
def test_what_is_no_size_is_refused(minimal, size):
    minimal["forecast"] = {"parameters": size, "tokens": 1e9}
    with pytest.raises(UserError, match=r"forecast\.parameters"):
        LanguageStudy.load(minimal)


def test_extra_runs_are_trained_and_are_no_part_of_the_grid(minimal):
    plain = LanguageStudy.load(minimal)
    minimal["scales"]["other"] = dict(minimal["scales"]["small"]) | {"grid": False, "seeds": 3}
    grid = plain.grid
    minimal["extra"] = {grid[0]: ["other"], grid[1]: ["small"]}
    study = LanguageStudy.load(minimal)
    assert study.runs == [*plain.runs, *(Run("other", grid[0], 0, seed) for seed in range(3))]
    roles = study.words("collect", study.runs)["roles"]
    assert roles[f"other/{grid[0]}"] == "selection"
    assert roles[grid[0]] == "grid"


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"extra": {"nothing": []}}, "extra"),
        ({"extra": {"mixed": ["huge"], "a": ["huge"]}}, "extra"),
        ({"propose": {"scale": "huge"}}, "propose.scale"),
        ({"propose": {"caps": {"nothing": 0.1}}}, "propose.caps"),
        ({"propose": {"floors": {"x": 1.5}}}, "propose.floors"),
    ],
)
def test_mistakes_name_their_key(minimal, section, told):
    with pytest.raises(UserError, match=told):
        LanguageStudy.load(minimal | section)


def test_next_steps_are_planned_where_nothing_is_mixed(minimal):
    study = LanguageStudy.load(minimal)
    assert study.decisions == [f"{study.config.results}/next"]
    assert "proposed_mixture" not in study.figures


def test_mixtures_are_proposed_from_and_a_proposal_is_a_config(minimal):
    minimal["distributions"]["mixed"] = {"method": "dirichlet", "count": 6}
    study = LanguageStudy.load(minimal)
    assert "decisions" in study.rules
    assert f"{study.config.results}/proposal.yaml" in study.products
    assert f"{study.config.results}/proposed_mixture.svg" in study.products
    source = next(iter(minimal["sources"]))
    entry = {"method": "mixture", "weights": {source: 1.0}, "role": "selection"}
    minimal["distributions"]["proposal"] = entry
    minimal["extra"] = {"proposal": ["small"], "mixed-002": ["small"]}
    again = LanguageStudy.load(minimal)
    assert set(again.runs) - set(study.runs) == {
        Run("small", "proposal", 0, seed) for seed in again.scales["small"].seeds
    }
    assert again.mixed == [*study.grid, "proposal"]
    assert again.spec("proposal") == study.spec("proposal")
    assert again.spec("next_steps") == study.spec("next_steps")
