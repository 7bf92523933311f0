"""What to train on, in words: against losses by pandas, with nothing shared."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support.synthetic_study import DISTRIBUTIONS, SCALES, SIMILAR, TASKS, Study, synthetic

from proxyscale.reporting.choice import choice_words
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.proxy_statistics import summarize

PROXIES = list(SCALES)[:-1]


def told(study: Study, **changes: object) -> list[str]:
    given = {"labels": {}, "unit": "nats", "confidence": 0.95} | changes
    return choice_words(study["statistics"], "ref", PROXIES, **given)


def summarized(study: Study, **more: object) -> Study:
    tables = study["losses"], study["runs"]
    return study | {"statistics": summarize(read_grid(*tables), reference="ref", groups={}, **more)}


@pytest.mark.parametrize("task", TASKS[:3])
def test_picks_and_their_cost_here_are_those_of_the_mean_losses(task: str) -> None:
    study = synthetic(falling=task)
    losses = study["losses"].filter(pc.equal(study["losses"]["task"], task))
    one = summarized(study | {"losses": losses})
    (said,) = told(one)
    means = losses.to_pandas().groupby(["scale", "distribution"]).loss.mean().unstack()
    best = means.idxmin(axis=1)
    assert said.startswith(f"On {task}, ref would train on {best['ref']}; ")
    shown = re.findall(r"(\w+) would train on (\S+), which costs ([\d.e-]+) nats", said)
    others = [name for name in PROXIES if best[name] != best["ref"]]
    assert [name for name, _, _ in shown] == others[:4]
    for name, picked, lost in shown:
        assert picked == best[name]
        true = means.loc["ref", best[name]] - means.loc["ref"].min()
        assert float(lost) == pytest.approx(true, rel=0.06)


def test_every_group_is_told_in_its_own_units() -> None:
    study = synthetic()
    whole, alone = told(study)
    assert whole.startswith("On the objective, over all test sets, ref would train on ")
    assert alone.startswith("Among similar alone: on the objective")
    for said in (whole, alone):
        count = len(DISTRIBUTIONS if said is whole else SIMILAR)
        assert f"of {count} new ones of the same kind" in said
        assert re.search(r"is expected to cost [\d.]+ sd over recipes \[", said)
        assert re.search(r"more than [\d.]+ is excluded with 95% confidence", said)


def test_labels_are_told_and_a_metric_of_no_direction_is_not() -> None:
    study = synthetic(tasks=TASKS[:1])
    said = " ".join(told(study, labels={"ref": "the large one", "mix": "a mixture"}))
    assert "the large one would train on" in said
    table = study["statistics"]
    picks = pc.match_substring_regex(table["statistic"], "regret|pick")
    assert told({"statistics": table.filter(pc.invert(picks))}) == []


def test_what_has_one_value_for_all_picks_nothing() -> None:
    study = synthetic(tasks=TASKS[:1])
    rows = study["statistics"].to_pylist()

    def tied(side: str, scales: list[str]) -> str:
        one = {"statistic": f"{side}_ties", "group": "all"}
        found = [
            r | {"value": 1.0} if r["proxy"] in scales and one.items() <= r.items() else r
            for r in rows
        ]
        return told({"statistics": pa.Table.from_pylist(found, study["statistics"].schema)})[0]

    said = tied("proxy", ["xxs"])
    assert "xxs has one value for all and picks none." in said
    assert "xxs would" not in said
    assert "what xs picks" in said
    said = tied("proxy", PROXIES)
    assert "; no proxy would." in said
    assert "Next time" not in said
    said = tied("reference", PROXIES)
    assert said == f"On {TASKS[0]}, ref has one value for all: none is better."


def test_what_all_pick_is_said_once() -> None:
    study = synthetic(tasks=TASKS[:1])
    rows = study["statistics"].to_pylist()
    same = [r | {"named": "mix", "value": 0.0} if r["statistic"] == "pick" else r for r in rows]
    best = [r | {"named": "mix"} if r["statistic"] == "reference_pick" else r for r in same]
    (said, _) = told({"statistics": pa.Table.from_pylist(best, study["statistics"].schema)})
    assert "ref would train on mix; so would xxs, xs, s, m and 1 more. Next time" in said
