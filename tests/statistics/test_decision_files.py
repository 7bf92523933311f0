"""From tables to files: what is proposed, planned and told, and the configs that train it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import yaml

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.statistics import mixture_search, next_plan, proposal
from proxyscale.statistics.decision_files import write_next, write_proposal
from proxyscale.statistics.mixture_proposal import caps_of, proposal_of
from proxyscale.statistics.next_plan import next_of
from proxyscale.statistics.recipe_losses import recipe_losses

SOURCES = ["code", "wiki", "web"]
SCALES = {"10M": 1e15, "40M": 1.6e16, "160M": 2.56e17}
COSTS = SCALES | {"640M": 4e18}
LIMITS = {"passes": 1.0}
SPEC = {"objective": {"weights": {"a": 1, "b": 1}}, "target": "10M", "limits": LIMITS}


def truth(shares: np.ndarray, scale: str) -> np.ndarray:
    """Losses on two tasks that want code and wiki: best at (½, ½, 0)."""
    level = 3 * (COSTS[scale] / 1e15) ** -0.05
    return level * (0.6 + 0.4 * np.exp(-4 * shares[:2]))


def tables(trained: dict[str, dict[str, int]], weights: dict[str, list[float]], noise=0.002):
    """Losses and runs of recipes, `trained` being scale → recipe → seeds."""
    rng, losses, runs = np.random.default_rng(0), [], []
    for scale, recipes in trained.items():
        for recipe, seeds in recipes.items():
            for seed in range(seeds):
                key = {"scale": scale, "distribution": recipe, "draw": 0, "seed": seed}
                role = "selection" if recipe == "proposal" else "grid"
                runs.append(key | {"role": role, "flops": COSTS[scale]})
                values = truth(np.array(weights[recipe]), scale)
                values = values * np.exp(noise * rng.standard_normal(2))
                for task, loss in zip("ab", values.tolist(), strict=True):
                    losses.append(key | {"task": task, "example": 0, "loss": loss})
    return tuple(
        artifacts.conform(pa.Table.from_pylist(rows), kind)
        for rows, kind in ((losses, "losses"), (runs, "runs"))
    )


def mixtures(n: int = 16) -> dict[str, list[float]]:
    drawn = np.random.default_rng(3).dirichlet(np.ones(3), n).tolist()
    return {f"m{i}": row for i, row in enumerate(drawn)}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(mixture_search, "DRAWN", 100)
    monkeypatch.setattr(mixture_search, "STARTS", 1)
    monkeypatch.setattr(proposal, "SPLITS", 1)


def test_a_proposal_is_written_as_a_record_a_table_and_a_config(tmp_path):
    weights = mixtures()
    losses, runs = tables({"10M": dict.fromkeys(weights, 1)}, weights)
    artifacts.write_json(
        tmp_path / "pool.json", {"sources": [{"name": n, "rows": 100} for n in SOURCES]}
    )
    spec = SPEC | {"target": "160M", "length": 10, "limits": LIMITS | {"tokens": 2500.0}}
    stem = tmp_path / "proposal"
    said = write_proposal(stem, losses, runs, SOURCES, weights, spec, tmp_path / "pool.json")
    record = json.loads((tmp_path / "proposal.json").read_text())
    assert record["told"] == said
    assert record["high_shares"] == {name: pytest.approx(0.4) for name in SOURCES}
    assert all(share <= 0.4 + 1e-6 for share in record["weights"].values())
    assert record["weights"]["web"] == pytest.approx(0.2, abs=0.02)
    assert (record["scale"], record["larger"], record["promise"]) == ("10M", None, [])
    config = yaml.safe_load((tmp_path / "proposal.yaml").read_text())
    entry = config["distributions"]["proposal"]
    assert (entry["method"], entry["role"]) == ("mixture", "selection")
    assert sum(entry["weights"].values()) == pytest.approx(1, abs=1e-5)
    scales = ["10M", "160M"]
    assert config["extra"] == {"proposal": scales, record["best_trained"]: scales}
    rows = artifacts.read_csv(tmp_path / "proposal.csv")
    assert [row["source"] for row in rows] == SOURCES


def test_whether_the_promise_held_is_told_and_changes_no_proposal():
    weights = mixtures()
    grid = {"10M": dict.fromkeys(weights, 1)}
    before = proposal_of(*tables(grid, weights), SOURCES, weights, SPEC | LIMITS)
    weights["proposal"] = list(before["weights"].values())
    champion = before["best_trained"]
    grid = {
        "10M": grid["10M"] | {"proposal": 1},
        "160M": {"proposal": 2, champion: 2},
    }
    after = proposal_of(*tables(grid, weights), SOURCES, weights, SPEC | LIMITS)
    assert after["weights"] == before["weights"]
    small, large = after["promise"]
    assert small["held"] == (before["low"] <= small["value"] <= before["high"])
    assert small["value"] == pytest.approx(before["predicted"], rel=0.02)
    assert small["value"] == pytest.approx(truth(np.array(weights["proposal"]), "10M").mean(), 0.01)
    assert (large["scale"], large["of"]) == ("160M", 2)
    assert "held" not in large
    expected = truth(np.array(weights[champion]), "160M") - truth(
        np.array(weights["proposal"]), "160M"
    )
    assert large["gain"] == pytest.approx(expected.mean(), abs=0.01)
    assert large["gain_low"] < large["gain"] < large["gain_high"]


def test_larger_runs_on_top_are_compared_with_doing_without():
    weights = mixtures(20)
    larger = dict.fromkeys(list(weights)[:7], 1)
    trained = {"10M": dict.fromkeys(weights, 1), "160M": larger}
    spec = SPEC | LIMITS | {"target": "160M"}
    found = proposal_of(*tables(trained, weights), SOURCES, weights, spec)
    assert (found["scale"], found["trained_at"]) == ("160M", "10M")
    assert found["larger"]["runs"] == 7
    assert set(found["larger"]["transfers"]) == {"standardized", "worst", "mean of losses"}
    best = truth(np.array(list(found["weights"].values())), "160M").mean()
    assert found["predicted"] == pytest.approx(best, rel=0.03)


def test_few_mixtures_and_the_worst_task_are_warned_of():
    weights = mixtures(9)
    losses, runs = tables({"10M": dict.fromkeys(weights, 1)}, weights)
    spec = SPEC | LIMITS | {"objective": "worst"}
    warnings = proposal_of(losses, runs, SOURCES, weights, spec)["warnings"]
    assert "9 mixtures of 3 sources are fewer than 16" in warnings[0]
    assert "did not transfer" in warnings[1]
    few = {name: weights[name] for name in list(weights)[:5]}
    with pytest.raises(UserError, match="5 mixtures are too few"):
        proposal_of(*tables({"10M": dict.fromkeys(few, 1)}, few), SOURCES, few, spec)


def test_caps_follow_from_tokens_and_passes():
    caps = caps_of(
        SOURCES,
        {
            "available": {"code": 100, "wiki": 1000},
            "tokens": 400,
            "passes": 2,
            "floors": {"web": 0.1},
            "caps": {"code": 0.6},
            "fixed": {"wiki": 0.25},
        },
    )
    assert caps.high.tolist() == [0.5, 0.25, 1]
    assert caps.low.tolist() == [0, 0.25, 0.1]
    with pytest.raises(UserError, match="no such source"):
        caps_of(SOURCES, {"caps": {"books": 0.1}})
    with pytest.raises(UserError, match="say how many"):
        caps_of(SOURCES, {"available": {"code": 1}})


def test_a_run_without_a_tasks_loss_is_left_out_and_told():
    weights = mixtures(8)
    losses, runs = tables({"10M": dict.fromkeys(weights, 1)}, weights)
    known = recipe_losses(losses.slice(1), runs)
    assert known.recipes == [f"m{i}" for i in range(1, 8)]
    told = "1 runs lack a task's loss and are left out, the first scale 10M, distribution m0"
    assert known.incomplete.startswith(told)
    found = proposal_of(losses.slice(1), runs, SOURCES, weights, SPEC | LIMITS)
    assert (found["mixtures"], found["warnings"][-1]) == (7, known.incomplete)
    planned = next_of(losses.slice(1), runs, next_spec(target="10M"))
    assert f"Note: {known.incomplete}." in next_plan.told(planned)
    with pytest.raises(UserError, match="no run has a loss on every task"):
        recipe_losses(pa.concat_tables([losses.slice(0, 1), losses.slice(3, 1)]), runs)


def next_spec(**more):
    return {"objective": "standardized", "target": "160M", "costs": {}, "seeds": {}} | more


def test_the_rule_is_a_config_that_trains_three_at_the_target(tmp_path):
    weights = mixtures(12)
    losses, runs = tables({"10M": dict.fromkeys(weights, 1)}, weights)
    said = write_next(tmp_path / "next", losses, runs, next_spec(costs=SCALES))
    config = yaml.safe_load((tmp_path / "next.yaml").read_text())
    means = {name: truth(np.array(row), "10M").mean() for name, row in weights.items()}
    best = sorted(means, key=means.__getitem__)[:3]
    assert len(set(config["extra"]) & set(best)) >= 2
    assert list(config["extra"].values()) == [["160M"]] * 3
    assert said[0].count(". ") == 1
    assert "as the rule has it" in said[0]
    rows = artifacts.read_csv(tmp_path / "next.csv")
    assert rows[0]["step"] == "stop"


@pytest.mark.parametrize("recipes", [2, 3])
def test_few_recipes_are_planned_for_too(recipes):
    weights = mixtures(recipes)
    grid = {scale: dict.fromkeys(weights, 2) for scale in SCALES}
    equal = {"weights": {"a": 1, "b": 1}}
    found = next_of(*tables(grid, weights), next_spec(objective=equal))
    best = min(weights, key=lambda name: truth(np.array(weights[name]), "160M").mean())
    assert (found["by_rule"], found["choice"]) == (True, best)


def test_seeds_are_a_config_with_one_more_and_to_stop_is_none():
    step = {"step": "seeds", "scale": "160M", "recipes": ["m1", "m2"]}
    config = next_plan.fragment({"chosen": step}, seeds=2)
    assert config == {"extra": {"m1": ["160M"], "m2": ["160M"]}, "scales": {"160M": {"seeds": 3}}}
    assert next_plan.fragment({"chosen": step | {"step": "stop"}}, seeds=2) == {}
    more = {"chosen": step | {"step": "recipes"}}
    assert next_plan.fragment(more, 1, {"m": 8}) == {"distributions": {"m": {"count": 16}}}


def test_seed_noise_is_known_from_a_second_run_alone():
    weights = mixtures(8)
    for seeds in (1, 2):
        losses, runs = tables({"10M": dict.fromkeys(weights, seeds)}, weights, noise=0.01)
        known = recipe_losses(losses, runs)
        ladder = known.ladder({"weights": {"a": 1}}, 0)
        if seeds == 1:
            assert np.isnan(ladder.noise[0])
            continue
        pairs = [known.runs[known.recipe == i, 0] for i in range(8)]
        assert ladder.noise[0] == pytest.approx(np.mean([np.var(p, ddof=1) for p in pairs]))


def test_a_forecast_is_told_or_why_there_is_none():
    weights = mixtures(12)
    grid = {scale: dict.fromkeys(weights, 1) for scale in SCALES}
    tabled = tables(grid, weights)
    found = next_of(*tabled, next_spec(forecast={"parameters": 4e8, "tokens": 8e8}))["forecast"]
    assert found["flops"] == pytest.approx(6 * 4e8 * 8e8)
    assert {row["task"] for row in found["ranges"]} == {"a", "b", "objective"}
    assert all(0.5 < row["least"] <= row["expected"] for row in found["ranges"])
    losses = found["losses"]["a"]
    assert losses is not None
    assert all(low < value < high for value, low, high in losses.values())
    # a chosen few at one more scale leave the forecast as it is
    few = tables(grid | {"640M": {"m0": 1}}, weights)
    again = next_of(*few, next_spec(forecast={"parameters": 4e9, "tokens": 8e8}))["forecast"]
    assert {row["scale"] for row in again.get("ranges", [])} == set(grid)
    far = next_of(*tabled, next_spec(forecast={"parameters": 7e9, "tokens": 1.4e11}))["forecast"]
    assert "spans a factor of 256" in far["why_not"]


def test_unknown_compute_is_refused():
    weights = mixtures(8)
    losses, runs = tables({"10M": dict.fromkeys(weights, 1)}, weights)
    blank = runs.set_column(
        runs.column_names.index("flops"), "flops", pa.nulls(len(runs), pa.float64())
    )
    with pytest.raises(UserError, match="no compute is known for 10M"):
        next_of(losses, blank, next_spec(target="10M"))
