"""What titles tell of what has no panel, and of what one might overlook."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from support.drawn import make
from support.synthetic_study import SIMILAR, TASKS, synthetic, with_curves, with_laws

from proxyscale.figures.style import Style, in_groups, marks


def _title(figure: Figure) -> str:
    return str(figure.subfigs[0].get_suptitle()).replace("\n", " ")


def test_figure_3_has_panels_where_a_proxy_knows_something_and_a_sentence_else() -> None:
    study = synthetic(tasks=TASKS[2:5], examples=40)
    rng = np.random.default_rng(0)
    losses = study["losses"].to_pandas()
    for task, right in (("squad_like", 0.2), ("lambada_like", 0.05), ("hellaswag_like", 0.6)):
        mine = losses["task"] == task
        losses.loc[mine, "correct"] = (rng.random(mine.sum()) < right).astype(float)
    given = study | {"losses": pa.Table.from_pandas(losses, study["losses"].schema)}
    for best, shown, told in (
        (0.3, ["hellaswag_like"], "no proxy is better than a guess on squad_like, lambada_like"),
        (0.9, ["hellaswag_like"], "on any task, of which the nearest is shown"),
        (0.01, list(TASKS[2:5]), ""),
    ):
        given["style"] = {"chance": dict.fromkeys(TASKS, best)}
        figure, rows = make("accuracy_fig3", given)
        assert [panel.get_title() for panel in figure.subfigs[0].axes] == shown
        title = _title(figure)
        assert told in title
        assert ("no proxy" in title) == bool(told)
        assert {row["task"] for row in rows} == set(TASKS[2:5])


def test_a_law_that_is_worse_than_a_coin_is_told() -> None:
    study = synthetic(tasks=TASKS[:4], examples=3)
    rows = with_laws(study)["statistics"].to_pylist()
    for row in rows:
        if row["statistic"] == "decision_accuracy" and row["task"] in TASKS[:2]:
            row["value"] *= 0.3 if row["proxy"].startswith("law3") else 1.0
    table = pa.Table.from_pylist(rows, study["statistics"].schema)
    figure, _ = make("frontier", study | {"statistics": table})
    title = _title(figure)
    assert title.endswith("; worse than a coin: power law with a floor on mix, docs")
    figure, _ = make("frontier", with_laws(study))
    assert "coin" not in _title(figure)


def test_legends_say_who_is_in_which_group() -> None:
    study = with_curves(synthetic(tasks=TASKS[:2], examples=3))
    groups = {"similar": list(SIMILAR), "code": ["tests", "dsdm"]}
    for name in ("correlation_fig1", "curves_fig21"):
        figure, _ = make(name, study, groups=groups, proxy="s")
        told = [text.get_text() for text in figure.subfigs[1].legends[0].get_texts()]
        assert {"docs (similar)", "dsdm (similar, code)", "tests (code)", "stdlib"} <= {*told}
        assert sum("similar" in text for text in told) == len(SIMILAR)


def test_a_family_is_in_a_group_if_all_of_it_are() -> None:
    names = [f"a-{i}" for i in range(15)] + [f"b-{i}" for i in range(15)]
    style = Style()
    found = in_groups(marks(names, style), {"g": [*names[:15], names[20]]}, style)
    assert {mark.label for mark in found.values()} == {"a (g)", "b"}
    assert list(found) == names
