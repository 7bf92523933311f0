"""Figures that show text or attribution: what is chosen, and that it stays on the page."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from support.drawn import add_font, boxes, make, own_fonts
from support.paths import ROOT
from support.synthetic_study import (
    SCALES,
    TASKS,
    Study,
    synthetic,
    with_curves,
    with_scores,
    with_texts,
)

from proxyscale import registry
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.figures import text_layout
from proxyscale.figures.style import Style
from proxyscale.study.language_study import LanguageStudy as Config
from proxyscale.study.validation import read_yaml


@pytest.fixture(scope="module")
def study() -> Study:
    return with_scores(with_texts(synthetic(examples=30)))


SHEETS = ("examples_fig4", "prompts_fig18", "prompts_fig19", "influence_fig24", "influence_fig25")


@pytest.mark.parametrize("name", SHEETS)
def test_text_stays_on_the_page_and_apart(study: Study, name: str) -> None:
    figure, _ = make(name, study)
    assert legible(figure) > 8


def legible(figure: Figure) -> int:
    """How many texts a page has; AssertionError if two overlap or one leaves it."""
    page, found = figure.bbox.padded(1.0), boxes(figure)
    for text, box in found:
        assert page.contains(box.x0, box.y0), text
        assert page.contains(box.x1, box.y1), text
    for i, (text, box) in enumerate(found):
        for other, second in found[:i]:
            width = min(box.x1, second.x1) - max(box.x0, second.x0)
            height = min(box.y1, second.y1) - max(box.y0, second.y0)
            assert width < 1 or height < 2.5, (text, other)
    return len(found)


SCRIPTS = {
    "chinese": "语料库的第一个问题，答案是什么？\t",
    "arabic": "ما هو الجواب الأول في هذا النص؟ ",
    "both": "what is 问题 الجواب ",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_texts_of_other_scripts_neither_overlap_nor_become_boxes(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a machine that has no font for them, and on one that has."""
    words = SCRIPTS[script]
    study = with_texts(synthetic(tasks=TASKS[1:2], examples=3), words * 20, words * 2)
    monkeypatch.setattr(fontManager, "ttflist", own_fonts())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each character that it has not
        figure, _ = make("prompts_fig18", study)
        assert legible(figure) > 8
        by_number = "".join(text.get_text() for text in figure.texts)
        assert ("\\u" in by_number) == (script != "arabic")
        told = capsys.readouterr().err.count("no font on this machine")
        assert told == (script != "arabic")
        add_font(tmp_path / f"{script}.ttf", words)
        figure, _ = make("prompts_fig18", study)
        assert legible(figure) > 8
        assert "\\u" not in "".join(text.get_text() for text in figure.texts)
    assert not capsys.readouterr().err


def test_text_from_right_to_left_begins_at_the_right() -> None:
    sheet = text_layout.Sheet(Style(), "title")
    given, scored = "ما هو الجواب في هذا النص؟", "(الجواب)"
    sheet.passage(0.5, 0.4, 4.0, 3, text_layout.Passage.of(given, scored), end=True)
    places = dict(boxes(sheet.finish(2.0)))
    assert places[given].x1 == pytest.approx(4.5 * sheet.figure.dpi, abs=1)
    assert places[given].x0 - places[scored].x1 == pytest.approx(0, abs=1)


def test_a_cut_prompt_says_how_many_tokens_are_gone() -> None:
    """Those that no model reads, and those for which a figure has no room."""
    words = " ".join(f"w{number}" for number in range(100))
    starts = [match.start() for match in re.finditer("w", words)]
    row = {"prompt": words, "continuation": " end", "prompt_starts": starts, "scored_from": 200}
    shown = text_layout.lines(text_layout.Passage.asked(row), 20, 4, end=True)
    first = int(shown[1][0].split()[0].removeprefix("w"))
    assert shown[0] == (f"… {first} tokens", "")
    shown = text_layout.lines(text_layout.Passage.asked(row | {"scored_from": 30}), 40, 4, end=True)
    first = int(shown[1][0].split()[0].removeprefix("w"))
    assert 70 < first < 100
    assert shown[0] == (f"… {first} tokens, 70 of them unread", "")
    told = [("… 97 tokens, unread", ""), ("w97 w98 w99", " end")]
    few = row | {"scored_from": 3}
    assert text_layout.lines(text_layout.Passage.asked(few), 40, 4, end=True) == told
    unknown = text_layout.Passage.asked(row | {"prompt_starts": None})
    shown = text_layout.lines(unknown, 20, 4, end=True)
    left = words.index(shown[1][0])
    assert shown[0] == (f"… {left} characters", "")
    few["prompt"] = "\t漢" + words[2:]  # what is written wider than it is
    assert text_layout.lines(text_layout.Passage.asked(few), 40, 4, end=True) == told


def test_examples_are_the_best_the_median_and_the_worst(study: Study) -> None:
    _, rows = make("examples_fig4", study, proxy="s")
    losses = study["losses"].to_pandas().astype({"loss": float})
    keys = ["task", "example", "scale", "distribution"]
    means = losses.groupby(keys)["loss"].mean().unstack("distribution")
    for task in TASKS:
        proxy, reference = (means.xs(s, level="scale").loc[task] for s in ("s", "ref"))
        r = proxy.corrwith(reference, axis=1)
        told = {row["rule"]: row for row in rows if row["task"] == task}
        assert told["best"]["pearson"] == pytest.approx(r.max())
        assert told["worst"]["pearson"] == pytest.approx(r.min())
        assert told["best"]["example"] == r.idxmax()
        assert (r > told["median"]["pearson"] + 1e-9).sum() in (len(r) // 2, (len(r) - 1) // 2)
        assert f" {task} " in told["best"]["continuation"]


def test_every_task_is_shown_once(study: Study) -> None:
    shown = [{row["task"] for row in make(f"prompts_fig{n}", study)[1]} for n in (18, 19)]
    assert shown == [set(TASKS[:3]), set(TASKS[3:])]


def test_chance_is_that_of_the_choices() -> None:
    told = {}
    for examples in (12, 10):  # the same four choices in each, right in turn
        study = with_texts(synthetic(tasks=TASKS[4:], examples=examples)) | {"style": {}}
        told[examples] = {row["chance"] for row in make("accuracy_fig3", study)[1]}
    assert told == {12: {0.25}, 10: {0.3}}  # of ten, three have the commonest answer
    told = study | {"style": {"chance": {"hellaswag_like": 0.5}}}
    assert {row["chance"] for row in make("accuracy_fig3", told)[1]} == {0.5}


def test_agreement_is_corrected_for_the_models_noise(study: Study) -> None:
    _, rows = make("agreement_fig29", study)
    assert len(rows) == 2 * len(SCALES) ** 2
    for kind, expected in (("single models", 0.5), ("same scale", 0.5), ("corrected", 1.0)):
        values = [row["spearman"] for row in rows if row["kind"] == kind]
        assert values == pytest.approx([expected] * len(values), abs=0.03)


def test_influence_shows_the_smallest_the_proxy_and_the_reference(study: Study) -> None:
    _, rows = make("influence_fig25", study, proxy="m")
    assert {row["task"] for row in rows} == {"lambada_like"}
    assert list(dict.fromkeys(row["scale"] for row in rows)) == ["xxs", "m", "ref"]


@pytest.mark.parametrize("name", ["curves_fig21", "agreement_fig29", "prompts_fig18"])
def test_a_table_that_is_missing_is_told(name: str) -> None:
    with pytest.raises(UserError, match="needed"):
        make(name, synthetic(tasks=TASKS[:1], examples=3))


def test_every_figure_of_a_study_can_be_drawn() -> None:
    config = read_yaml(ROOT / "config.yaml")
    # Figure 8 is drawn with the test of its numbers
    names = [name for name in Config.load(config).figures if name != "selection_fig8"]
    assert len(names) == 15
    assert set(names) <= set(registry.figure.entries)
    drawn = with_curves(with_scores(with_texts(synthetic(tasks=TASKS[2:5], examples=4))))
    for name in set(names) - {"influence_fig26"}:
        assert make(name, drawn)[1], name
    without = json.loads(json.dumps(config))
    without["tasks"] = {"mix": config["tasks"]["mix"]}
    without["attribution"] = {}
    natural = {n: d for n, d in config["distributions"].items() if "task" not in d}
    without |= {"distributions": natural, "groups": {}, "proxy_selection": None}
    assert not {"accuracy_fig3", "prompts_fig19", "agreement_fig29"} & set(
        Config.load(without).figures
    )


texts = st.text("ab _-\n\té漢", max_size=120)


@given(texts, texts, st.integers(4, 40), st.integers(1, 9), st.booleans())
def test_lines_hold_the_text_within_the_box(
    prompt: str, continuation: str, columns: int, rows: int, end: bool
) -> None:
    passage = text_layout.Passage.of(prompt, continuation)
    shown = text_layout.lines(passage, columns, rows, end=end)
    assert len(shown) <= rows
    assert all(text_layout.cells(given + scored) <= columns for given, scored in shown)
    whole = text_layout.lines(passage, columns, 10_000, end=end)
    letters = "".join(map("".join, whole)).replace(" ", "")
    assert letters == passage.text.replace(" ", "").replace("\n", "")
    asked = "".join(scored for _, scored in whole).replace(" ", "")
    assert asked == passage.text[passage.scored_from :].replace(" ", "").replace("\n", "")


def test_text_is_broken_after_a_space_where_there_is_one() -> None:
    text = "one two three four"
    assert [text[a:b] for a, b in text_layout.spans(text, 10)] == ["one two ", "three four"]
    assert [text[a:b] for a, b in text_layout.spans("x" * 9 + "\n", 4)] != []
    assert np.diff(text_layout.spans("x" * 9, 4)).ravel().tolist() == [4, 4, 1]


def test_words_stay_whole_where_a_line_holds_them() -> None:
    """Broken after a mark, or within a name of several words, before a word is cut."""
    text = "call torch.distributed.fsdp._is_fsdp_root(first=1.25, second)"
    lines = [text[a:b] for a, b in text_layout.spans(text, 20)]
    assert "".join(lines) == text
    assert lines == ["call torch.", "distributed.fsdp.", "_is_fsdp_root(first=", "1.25, second)"]
    assert np.diff(text_layout.spans("a_name_of_some_length", 12)).ravel().tolist() == [10, 11]


def test_choices_stand_as_far_in_as_a_model_sees_them(study: Study) -> None:
    table = study["asked"]["hellaswag_like"].to_pylist()
    told = {0: "\n    four", 1: "        eight", 2: "none", 3: "  two"}
    rows = [row | {"continuation": told[row["choice"]]} for row in table]
    asked = {"hellaswag_like": pa.Table.from_pylist(rows, artifacts.SCHEMAS["task"])}
    figure, _ = make("prompts_fig19", study | {"asked": study["asked"] | asked})
    shown = [text.get_text() for text in figure.texts]
    gold = min(row["choice"] for row in rows if row["example"] == 0 and row["gold"])
    marks = ["●" if choice == gold else "○" for choice in range(4)]
    for mark, words in zip(marks, ("   four", "       eight", " none", " two"), strict=True):
        assert mark + words in shown
