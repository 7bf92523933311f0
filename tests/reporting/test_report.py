"""The report: one file with true numbers, nothing fetched, and alive in a real browser."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.browser import CHROMIUM, DRIVER, Browser
from support.synthetic_study import DISTRIBUTIONS, SCALES, SIMILAR, TASKS, Study, synthetic

from proxyscale.base import artifacts
from proxyscale.reporting.report import write_report
from proxyscale.statistics.scaling_laws import extrapolate
from proxyscale.statistics.verdict import verdict
from proxyscale.statistics.verdict_words import words

# What moves HTML's parser between the states of a script's data, and a template's marks.
STATES = "<!-- <script> <!--<script </script > --> </SCRIPT\n> <![CDATA[ ]]> <!-->"
TRICKY = f"</script><b>&amp; “quoted”\n\tand `$title` ${{js}} {STATES}"


@pytest.fixture(scope="module")
def study() -> Study:
    found = synthetic(falling="trivia_like")
    laws = extrapolate(found["losses"], found["runs"], reference="ref")
    return found | {"statistics": pa.concat_tables([found["statistics"], laws])}


def spec(**changes: Any) -> dict[str, Any]:
    config = {"reference": "ref", "study": "a <b> & c", "tasks": {"one": 1, "two": 2}}
    words = {"study": "a <b> & c", "config": config, "order": {"tasks": ["two", "one"]}}
    words |= {"trust": {"decisions": 0.6}, "confidence": 0.95, "groups": {"similar": SIMILAR}}
    return {**words, "style": {}, "texts": True} | changes


def task_folder(folder: Path) -> Path:
    """A task's artifact with 25 examples, four choices each."""
    rows = [
        {
            **{"example": example, "choice": choice, "gold": choice == 2, "tokens": [1, 2]},
            **{"scored_from": 1, "prompt": f"prompt {example} {TRICKY}"},
            "continuation": f"choice {choice} of {example}",
        }
        for example in range(25)
        for choice in range(4)
    ]
    table = pa.Table.from_pylist(rows, artifacts.SCHEMAS["task"])
    artifacts.write(folder / "holdout.parquet", table, "task")
    counts = {"holdout": {"records": 40, "kept": 25, "in_pool": 9}}
    artifacts.write_json(folder / "manifest.json", {"kind": "prompt", "counts": counts})
    return folder


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


def test_examples_are_spread_over_their_ranks(tmp_path: Path, study: Study) -> None:
    folder = task_folder(tmp_path / "mix")
    found = data(write(tmp_path / "r.html", study, tasks={"mix": folder}))
    shown = found["examples"]["mix"]
    assert shown["of"] == len(shown["ids"]) == 25
    r2 = [abs(value) for value in shown["r2"][found["proxy"]]]
    assert r2 == sorted(r2)
    assert np.mean(np.sign(found["examples"]["trivia_like"]["r2"]["xxs"])) < 0  # inverted there
    example = shown["ids"][3]
    assert shown["texts"][3] == [f"prompt {example} {TRICKY}", f"choice 2 of {example}", 0]
    losses = study["losses"].to_pandas().groupby(["task", "scale", "distribution", "example"])
    true = losses["loss"].mean()["mix", "s", DISTRIBUTIONS[4], example]
    assert shown["losses"]["s"][4][3] == pytest.approx(true, rel=1e-3)
    assert found["examples"]["docs"]["texts"] is None
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
    picture.write_text("<svg/>")
    decided = [{"told": ["Proposed: <b>."]}, {"told": ["Next: x.", "No forecast."]}]
    pictures = {"proposed_mixture": picture}
    page = write(tmp_path / "r.html", study, decided=decided, pictures=pictures)
    for line in ("Proposed: &lt;b&gt;.", "Next: x.", "No forecast."):
        assert f"<p>{line}</p>" in page
    shown = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert shown is not None
    assert base64.b64decode(shown[1]) == b"<svg/>"
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


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, study: Study) -> Iterator[Browser]:
    """The report of the synthetic study, open."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    folder = tmp_path_factory.mktemp("report")
    write(folder / "r.html", study, tasks={"mix": task_folder(folder / "mix")})
    with Browser() as found:
        found.open(folder / "r.html")
        yield found


@pytest.mark.browser
def test_the_console_is_quiet_and_no_request_leaves_the_page(browser: Browser) -> None:
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:"))] == []
    assert browser.console() == []
    count = "return document.querySelectorAll('#correlation .point').length"
    assert browser.run(count) == len(TASKS) * len(DISTRIBUTIONS)


@pytest.mark.browser
def test_hovering_names_the_distribution_its_losses_and_its_seeds(browser: Browser) -> None:
    browser.hover("#correlation figure:nth-child(2) .point:last-child")
    told = browser.run(
        "const t = document.getElementById('tip'); return t.hidden ? '' : t.innerText"
    )
    assert told.splitlines()[0] == DISTRIBUTIONS[-1]
    assert re.search(r"xxs: loss [\d.]+, seeds [\d.]+, [\d.]+", told)
    assert "ref: loss" in told


@pytest.mark.browser
def test_panels_filter_by_task_and_scale(browser: Browser) -> None:
    captions = "return [...document.querySelectorAll('#correlation figcaption')]"
    titles = f"{captions}.map(caption => caption.firstChild.data)"
    lines = "return document.querySelectorAll('#compute polyline').length"
    assert browser.run(titles) == list(TASKS)
    browser.click("[data-task=docs]")
    assert browser.run(titles) == [task for task in TASKS if task != "docs"]
    assert browser.run(lines) == len(TASKS) - 1
    browser.click("[data-task=docs]")
    before = browser.run("return document.querySelector('#correlation small').textContent")
    choose = "const s = document.getElementById('proxy'); s.value = arguments[0];"
    browser.run(choose + "s.dispatchEvent(new Event('change'))", "l")
    assert "Proxy l against" in browser.run(
        "return document.getElementById('correlation-title').textContent"
    )
    assert browser.run("return document.querySelector('#correlation small').textContent") != before


@pytest.mark.browser
def test_examples_open_their_text_and_tables_sort(browser: Browser) -> None:
    browser.click("#example-chart .point")
    text = browser.run("return document.querySelector('#example-detail pre').textContent")
    assert re.fullmatch(r"prompt \d+ " + re.escape(TRICKY) + r"choice 2 of \d+", text)
    browser.click("#costs-table th:nth-child(5) button")
    cells = "return [...document.querySelectorAll('#costs-table td:first-child')]"
    cells += ".map(cell => cell.textContent)"
    assert browser.run(cells) == list(reversed(SCALES))
    browser.click("#costs-table th:nth-child(5) button")
    assert browser.run(cells) == list(SCALES)
    find = "const f = document.getElementById('find'); f.value = 'spearman squad xs';"
    browser.run(find + "f.dispatchEvent(new Event('input'))")
    rows = browser.run("return document.querySelectorAll('#statistics-table tbody tr').length")
    assert rows == 2 * 2  # xs and xxs, in both groups


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 420])
def test_nothing_overflows_the_window(browser: Browser, width: int) -> None:
    browser.resize(width, 900)
    inside = "return document.documentElement.scrollWidth <= innerWidth"
    assert browser.run(inside)
    assert browser.console() == []
