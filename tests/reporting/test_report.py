"""The report: one file with true numbers, nothing fetched, and alive in a real browser."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.synthetic_study import DISTRIBUTIONS, SCALES, SIMILAR, TASKS, Study, synthetic
from support.task_folders import TRICKY, task_folder

from proxyscale.base import artifacts
from proxyscale.base.tables import where
from proxyscale.figures.figure_data import FigureData
from proxyscale.figures.style import COLORS, DARK, Style, predictor_marks
from proxyscale.reporting.answer import Answer
from proxyscale.reporting.report import ASSETS, write_report
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.scaling_laws import extrapolate
from proxyscale.statistics.verdict import verdict
from proxyscale.statistics.verdict_words import words


@pytest.fixture(scope="module")
def study() -> Study:
    found = synthetic(falling="trivia_like")
    laws = extrapolate(read_grid(found["losses"], found["runs"]), reference="ref", groups={})
    return found | {"statistics": pa.concat_tables([found["statistics"], laws])}


def spec(**changes: Any) -> dict[str, Any]:
    config = {"reference": "ref", "study": "a <b> & c", "tasks": {"one": 1, "two": 2}}
    words = {"study": "a <b> & c", "config": config, "order": {"tasks": ["two", "one"]}}
    words |= {"trust": {"decisions": 0.6}, "confidence": 0.95, "groups": {"similar": SIMILAR}}
    return {**words, "style": {}, "texts": True} | changes


def write(out: Path, study: Study, **more: Any) -> str:
    given = {key: study[key] for key in ("statistics", "losses", "runs")}
    write_report(out, more.pop("spec", spec()), **given, **more)
    return out.read_text()


def data(page: str) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def test_the_numbers_are_those_of_the_tables(tmp_path: Path, study: Study) -> None:
    found = data(write(tmp_path / "r.html", study))
    losses = study["losses"].to_pandas()
    means = losses.groupby(["task", "scale", "distribution", "seed"])["loss"].mean()
    for task in TASKS:
        for scale in SCALES:
            shown = found["losses"][task][scale]
            for values, name in zip(shown, DISTRIBUTIONS, strict=True):
                np.testing.assert_allclose(values, means[task, scale, name], rtol=1e-4)
    table = study["statistics"].to_pandas()
    table = table[table["level"] == "distribution"]
    assert len(found["statistics"]) == len(table)
    for row, true in zip(found["statistics"], table["value"], strict=True):
        assert (row[4] is None) == np.isnan(true)
        assert row[4] is None or row[4] == pytest.approx(true, rel=1e-3)
    assert [row["runs"] for row in found["costs"]] == [20] * len(SCALES)
    assert found["costs"][0]["parameters"] == SCALES["xxs"]
    ratios = {row["scale"]: row["ratio"] for row in found["costs"]}
    told = {name: found["ratios"][name] for name in found["proxies"]}
    assert ratios == pytest.approx(told | {"ref": 1.0}, rel=1e-8)


def test_the_headline_says_which_groups_say_otherwise(study: Study) -> None:
    one = where(study["statistics"], task="mix")
    seen = set()
    for level in (0.5, 0.6, 0.7, 0.8, 0.9, 0.98):
        found = Answer(one, level, 0.95, "nats")
        trusted = [
            v.trusted.scale if v.trusted else None
            for v in (found.found[0], verdict(one, level, group="similar")[0])
        ]
        seen.add(trusted[0] == trusted[1])
        if trusted[0] != trusted[1]:
            assert found.headline.endswith("; otherwise among similar")
        elif not found.found[0].contrary:
            assert "otherwise" not in found.headline
    assert seen == {True, False}


def test_examples_are_spread_over_their_ranks(tmp_path: Path, study: Study) -> None:
    folder = task_folder(tmp_path / "mix")
    cut = task_folder(tmp_path / "docs", starts=[0, 3, 7])
    found = data(write(tmp_path / "r.html", study, tasks={"mix": folder, "docs": cut}))
    shown = found["examples"]["mix"]
    assert shown["of"] == len(shown["ids"]) == 25
    r2 = [abs(value) for value in shown["r2"][found["proxy"]]]
    assert r2 == sorted(r2)
    assert np.mean(np.sign(found["examples"]["trivia_like"]["r2"]["xxs"])) < 0  # inverted there
    assert found["examples"]["trivia_like"]["median"]["xxs"] < 0 < shown["median"]["xxs"]
    example = shown["ids"][3]
    assert shown["texts"][3] == [f"prompt {example} {TRICKY}", f"choice 2 of {example}", ""]
    losses = study["losses"].to_pandas().groupby(["task", "scale", "distribution", "example"])
    true = losses["loss"].mean()["mix", "s", DISTRIBUTIONS[4], example]
    assert shown["losses"]["s"][4][3] == pytest.approx(true, rel=1e-3)
    assert found["examples"]["squad_like"]["texts"] is None
    example = found["examples"]["docs"]["ids"][3]
    told = [f"{example} {TRICKY}", f"choice 2 of {example}", "2 tokens, unread"]
    assert found["examples"]["docs"]["texts"][3] == told
    assert found["material"]["tasks"][0]["in_pool"] == 9


def test_the_verdict_comes_first_and_in_words(tmp_path: Path, study: Study) -> None:
    clear = synthetic(tasks=TASKS[:2])
    page = write(tmp_path / "r.html", clear)
    overall = verdict(clear["statistics"], 0.6, 0.95)[0]
    assert overall.trusted is not None
    assert html.escape(words(overall)) in page
    assert f"{overall.trusted.scale} can be trusted" in page
    assert page.index('class="verdict"') < page.index('id="correlation"')
    table = clear["statistics"]
    unknown = table
    for name in ("compute_ratio", "size_ratio"):
        place = table.schema.get_field_index(name)
        nothing = pa.nulls(len(table), "float64")
        unknown = unknown.set_column(place, table.schema.field(place), nothing)
    page = write(tmp_path / "r.html", clear | {"statistics": unknown})
    assert "No verdict" in page
    assert "give each scale&#x27;s parameters and tokens" in page


def test_nothing_is_fetched_and_names_are_escaped(tmp_path: Path, study: Study) -> None:
    folder = task_folder(tmp_path / "mix")
    page = write(tmp_path / "r.html", study, tasks={"mix": folder})
    outside = [url for url in re.findall(r"https?://[^\s\"'<]+", page) if "www.w3.org" not in url]
    assert not outside
    assert not re.findall(r"<(?:img|iframe|object)|<link[^>]+href=\"(?!data:)|\bsrc=|@import", page)
    assert "default-src 'none'" in page
    assert "a &lt;b&gt; &amp; c" in page
    raw = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert raw is not None
    assert "<" not in raw[1]
    assert page.count("</script>") == 2
    assert page.index("two: 2") < page.index("one: 1")


def test_decisions_stand_in_words_with_their_picture(tmp_path: Path, study: Study) -> None:
    plain = write(tmp_path / "r.html", study)
    assert 'id="decisions"' not in plain
    picture = tmp_path / "p.svg"
    with artifacts.atomic(picture) as temporary:
        temporary.write_text("<svg/>")
    decided = [{"told": ["Proposed: <b>."]}, {"told": ["Next: x.", "No forecast."]}]
    pictures = {"proposed_mixture": picture}
    page = write(tmp_path / "r.html", study, decided=decided, pictures=pictures)
    for line in ("Proposed: &lt;b&gt;.", "Next: x.", "No forecast."):
        assert f"<p>{line}</p>" in page
    shown = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert shown is not None
    held = base64.b64decode(shown[1])
    assert held == picture.read_bytes()
    assert held.startswith(b"<svg/>")
    assert "<img" not in write(tmp_path / "r.html", study, decided=decided)


def test_metrics_of_which_higher_is_better_stand_as_measured(tmp_path: Path, study: Study) -> None:
    better = pa.array(
        ["higher" if t == "mix" else "lower" for t in study["losses"]["task"].to_pylist()]
    )
    place = study["losses"].schema.get_field_index("better")
    losses = study["losses"].set_column(place, "better", better)
    found = data(write(tmp_path / "r.html", {**study, "losses": losses}))
    plain = data(write(tmp_path / "r.html", study))
    assert found["losses"]["mix"]["s"][0] == [-v for v in plain["losses"]["mix"]["s"][0]]
    assert found["losses"]["docs"] == plain["losses"]["docs"]


def test_the_palette_can_be_seen_on_paper_and_on_a_dark_page() -> None:
    """Contrast as WCAG 2.1 defines it, 3 : 1 and more; text 4.5 : 1."""
    css = (ASSETS / "report.css").read_text()
    schemes = [
        dict(re.findall(r"--(\w+(?:-\w+)?): (#\w+);", part)) for part in css.split("@media")[:2]
    ]
    for palette, scheme in zip((COLORS, DARK), schemes, strict=True):
        for ground in ("paper", "wash"):
            assert all(contrast(color, scheme[ground]) >= 3 for color in palette)
            for text in ("ink", "grey", "blue", "alarm"):
                assert contrast(scheme[text], scheme[ground]) >= 4.5
        assert contrast(scheme["on-blue"], scheme["blue"]) >= 4.5
        assert contrast(scheme["edge"], scheme["paper"]) >= 3


def contrast(one: str, other: str) -> float:
    high, low = sorted(map(luminance, (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(c * 2 for c in color[1:])
    parts = np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_the_navigation_names_what_is_there(tmp_path: Path, study: Study) -> None:
    page = write(tmp_path / "r.html", study)
    sections = re.findall(r'<section id="([\w-]+)">', page)
    assert re.findall(r'<a href="#([\w-]+)">', page) == sections
    assert sections[:2] == ["answer", "choice"]
    assert "data-counts" not in sections  # no pool, no tasks, no notes
    folder = task_folder(tmp_path / "mix")
    page = write(tmp_path / "r.html", study, tasks={"mix": folder})
    assert "data-counts" in re.findall(r'<a href="#([\w-]+)">', page)


def test_texts_and_paths_can_be_left_out(tmp_path: Path, study: Study) -> None:
    folder, notes = task_folder(tmp_path / "mix"), [f"read {tmp_path}/runs.csv"]
    given: dict[str, Any] = {"tasks": {"mix": folder}, "notes": notes}
    assert "choice 2 of" in write(tmp_path / "r.html", study, **given)
    config = {"reference": "ref", "study": "s", "tasks": {"one": 1, "two": 2}, "results": "out"}
    page = write(tmp_path / "r.html", study, **given, spec=spec(texts=False, config=config))
    assert "choice 2 of" not in page
    assert str(tmp_path) not in page
    assert "results: (left out)" in page
    assert data(page)["material"]["tasks"][0]["in_pool"] == 9  # counts stay


def test_accuracies_stand_beside_those_of_simple_rules(tmp_path: Path, study: Study) -> None:
    folder = task_folder(tmp_path / "hellaswag_like")
    (row,) = data(write(tmp_path / "r.html", study, tasks={"hellaswag_like": folder}))["guesses"]
    assert row["rules"]["chance"] == 0.25
    assert row["rules"]["majority"] == 0.25  # a choice of each example is like no other
    losses = study["losses"].to_pandas().query("task == 'hellaswag_like'")
    means = losses.astype({"correct": float}).groupby("scale")["correct"].mean()
    assert row["scales"] == pytest.approx(means.to_dict())


def test_records_that_were_dropped_are_named_where_texts_are_shown(
    tmp_path: Path, study: Study
) -> None:
    folder, pool = task_folder(tmp_path / "mix"), tmp_path / "pool.json"
    facts = artifacts.read_json(folder / "manifest.json")
    dropped = {"holdout": {"duplicate": 3}}, {"holdout": {"duplicate": ["/home/me/mine.txt:7"]}}
    facts |= dict(zip(("dropped", "dropped_first"), dropped, strict=True))
    artifacts.write_json(folder / "manifest.json", facts)
    account = {"read": 5, "dropped": {"empty": 2}, "dropped_first": {"empty": ["/home/me/a.txt"]}}
    artifacts.write_json(pool, {"sources": [{"name": "a", "rows": 9, "account": account}]})
    given: dict[str, Any] = {"tasks": {"mix": folder}, "pool": pool}
    told = data(write(tmp_path / "r.html", study, **given))["material"]
    assert told["sources"][0]["dropped"] == "2 empty (/home/me/a.txt …)"
    assert told["tasks"][0]["dropped"] == "3 duplicate (/home/me/mine.txt:7 …)"
    page = write(tmp_path / "r.html", study, **given, spec=spec(texts=False))
    assert "/home/me" not in page
    told = data(page)["material"]
    assert (told["sources"][0]["dropped"], told["sources"][0]["kept"]) == ("2 empty", 3)
    assert told["tasks"][0]["dropped"] == "3 duplicate"


def test_the_table_of_trust_has_every_group_cheap_to_dear(tmp_path: Path, study: Study) -> None:
    trust = data(write(tmp_path / "r.html", study))["trust"]
    assert list(trust["ladders"]) == ["all", "similar"]
    table = study["statistics"].to_pylist()
    for group, rows in trust["ladders"].items():
        for row in rows:
            assert [cell["scale"] for cell in row["scales"]] == list(SCALES)[:-1]
            for cell in row["scales"]:
                (true,) = [
                    found["value"]
                    for found in table
                    if (found["statistic"], found["group"], found["task"], found["proxy"])
                    == ("decision_accuracy", group, row["task"], cell["scale"])
                ]
                assert cell["value"] == pytest.approx(true, rel=1e-3)
                assert cell["bound"] <= cell["value"] + 1e-9


def test_names_have_one_look_in_figures_and_on_the_page(tmp_path: Path, study: Study) -> None:
    looks = data(write(tmp_path / "r.html", study))["looks"]
    assert looks["mix"]["filled"]
    for name, mark in predictor_marks().items():
        assert (looks[name]["color"], looks[name]["marker"]) == (mark.place, mark.marker)
    tables = {key: study[key] for key in ("statistics", "losses", "runs")}
    shown = FigureData(Style(), tables)
    assert shown.task_marks["mix"] == shown.marks["mix"]  # a test set, and a distribution
    for name, mark in (shown.task_marks | shown.marks).items():
        assert (looks[name]["color"], looks[name]["marker"]) == (mark.place, mark.marker)
    assert len({mark.place for mark in shown.task_marks.values()}) == len(TASKS)
