"""The report in a real browser: alive, no wider than the page, read by keyboard, dark, on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.browser import CHROMIUM, DRIVER, Browser
from support.synthetic_study import DISTRIBUTIONS, SCALES, SIMILAR, TASKS, Study, synthetic
from support.task_folders import TRICKY, task_folder

from proxyscale.base import artifacts
from proxyscale.reporting.report import write_report
from proxyscale.statistics.effects import effects
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.proxy_statistics import as_table
from proxyscale.statistics.scaling_laws import extrapolate

pytestmark = pytest.mark.browser

LONG = ("a distribution whose name has about sixty characters in all", "x" * 60, "语料库的分布")
FOREIGN: dict[str, Any] = {
    "distributions": (*LONG, "توزيع البيانات", "mix"),
    "tasks": ("一个测试集", "مجموعة اختبار", "withoutanybreak" * 4),
    "scales": {"a-scale-of-a-name-that-goes-on-and-on": 18224, "小模型": 41120, "ref": 287616},
    "examples": 4,
}


def write_page(out: Path, study: Study | None = None) -> None:
    """A report with all that a study of language models can have."""
    found = study or synthetic(falling="trivia_like")
    tables = found["losses"], found["runs"]
    names = found["runs"]["distribution"].unique().to_pylist()
    tasks = found["losses"]["task"].unique().to_pylist()
    laws = extrapolate(read_grid(*tables), reference="ref")
    rows = {
        "effects": effects(*tables, selected={names[2]: tasks[1]}, baseline=names[0]),
        "composition": [
            {"distribution": name, "draw": 0, "examples": 9, "different": 9, "docs": 0.4}
            | {"code": 0.6}
            | {f"in:{other}": float(name == other) for other in names}
            for name in names
        ],
    }
    paths = {kind: out.parent / f"{out.stem}-{kind}.csv" for kind in rows}
    for kind, path in paths.items():
        artifacts.write_csv(path, rows[kind])
    spec = {"study": "a <b> & c", "config": {"study": "s", "tasks": dict.fromkeys(tasks, 1)}}
    spec |= {"order": {"tasks": tasks}, "trust": {"decisions": 0.6}, "confidence": 0.95}
    spec |= {"style": {}, "groups": {} if study else {"similar": SIMILAR}}
    best = [
        {"statistic": "best_metric", "level": "metric", "group": "all", "task": task}
        | {"proxy": next(iter(SCALES)), "reference": "ref", "value": 0.9, "named": "bits_per_byte"}
        for task in tasks[: 0 if study else 2]
    ]
    statistics = pa.concat_tables([found["statistics"], laws, as_table(best)])
    given = {"statistics": statistics, "losses": tables[0], "runs": tables[1], "tables": paths}
    write_report(out, spec, **given, tasks={tasks[0]: task_folder(out.parent / out.stem)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of the synthetic study, and of one with names of all kinds."""
    found = tmp_path_factory.mktemp("report")
    write_page(found / "r.html")
    write_page(found / "foreign.html", synthetic(**FOREIGN))
    return found


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Browser]:
    """The report of the synthetic study, open."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    with Browser() as found:
        found.open(folder / "r.html")
        yield found


def test_the_console_is_quiet_and_no_request_leaves_the_page(browser: Browser) -> None:
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:"))] == []
    assert browser.console() == []
    count = "return document.querySelectorAll('#correlation .point').length"
    assert browser.run(count) == len(TASKS) * len(DISTRIBUTIONS)


def test_hovering_names_the_distribution_its_losses_and_its_seeds(browser: Browser) -> None:
    browser.hover("#correlation figure:nth-child(2) .point:last-child")
    told = browser.run(
        "const t = document.getElementById('tip'); return t.hidden ? '' : t.innerText"
    )
    assert told.splitlines()[0] == DISTRIBUTIONS[-1]
    assert re.search(r"xxs: loss [\d.]+, seeds [\d.]+, [\d.]+", told)
    assert "ref: loss" in told


def test_panels_filter_by_task_and_scale(browser: Browser) -> None:
    captions = "return [...document.querySelectorAll('#correlation figcaption')]"
    titles = f"{captions}.map(caption => caption.firstChild.textContent)"
    lines = "return document.querySelectorAll('#compute figure').length"
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


def test_examples_open_their_text_and_tables_sort(browser: Browser) -> None:
    browser.click("#example-chart .point")
    text = browser.run("return document.querySelector('#example-detail pre').textContent")
    assert re.fullmatch(r"prompt \d+ " + re.escape(TRICKY) + r"choice 2 of \d+", text)
    browser.click("#costs-table th:nth-child(2) button")
    browser.click("#costs-table th:nth-child(2) button")
    cells = "return [...document.querySelectorAll('#costs-table td:first-child')]"
    cells += ".map(cell => cell.textContent)"
    assert browser.run(cells) == list(reversed(SCALES))
    browser.click("#costs-table th:nth-child(2) button")
    assert browser.run(cells) == list(SCALES)
    find = "const f = document.getElementById('find'); f.value = 'spearman squad xs';"
    browser.run(find + "f.dispatchEvent(new Event('input'))")
    rows = browser.run("return document.querySelectorAll('#statistics-table tbody tr').length")
    assert rows == 2 * 2  # xs and xxs, in both groups


def test_the_measure_that_is_foretold_best_is_named(browser: Browser) -> None:
    cells = "return [...document.querySelectorAll('#metrics tbody tr')].map(r => r.innerText)"
    rows = [row.split() for row in browser.run(cells)]
    assert [row[:5] for row in rows] == [
        [task, "bits", "per", "byte", "0.90"] for task in TASKS[:2]
    ]
    assert {"n/a"} == {cell for row in rows for cell in row[5:]}


WIDER = """
const inner = document.documentElement.clientWidth;
const scrolls = (node) => node && (node.closest('.scroll, pre, .picture') !== null);
return [...document.querySelectorAll('main *, header *, nav *')]
  .filter((n) => n.getClientRects().length && !scrolls(n))
  .filter((n) => n.getBoundingClientRect().right > inner + 1)
  .map((n) => n.tagName + '.' + n.className.toString() + ': ' + n.textContent.slice(0, 30));
"""
UNSAID = """
return [...document.querySelectorAll('.scroll')].filter((n) => n.getClientRects().length
  && n.scrollWidth > n.clientWidth + 1 && n.parentNode.querySelector('.scrolls').hidden).length;
"""


@pytest.mark.parametrize("width", [400, 800, 1400])
@pytest.mark.parametrize("page", ["r.html", "foreign.html"])
def test_nothing_is_wider_than_the_page_without_saying_so(
    browser: Browser, folder: Path, page: str, width: int
) -> None:
    browser.viewport(width)
    browser.open(folder / page)
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.run(WIDER) == []
    assert browser.run(UNSAID) == 0
    assert browser.console() == []


TEXTS = """
const across = (p, q) => Math.min(p.right, q.right) - Math.max(p.left, q.left);
const upright = (p, q) => Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
return [...document.querySelectorAll('main svg[role=group]')].flatMap((svg) => {
  const texts = [...svg.querySelectorAll('text')].map((t) => [t, t.getBoundingClientRect()]);
  return texts.flatMap(([a, p], i) => texts.slice(i + 1)
    .filter(([b, q]) => across(p, q) > 2 && upright(p, q) > 3)
    .map(([b]) => a.textContent + ' / ' + b.textContent));
});
"""


@pytest.mark.parametrize("page", ["r.html", "foreign.html"])
def test_texts_of_charts_do_not_overlap(browser: Browser, folder: Path, page: str) -> None:
    for width in (400, 1400):
        browser.viewport(width)
        browser.open(folder / page)
        assert browser.run(TEXTS) == []


def test_a_chart_is_one_stop_of_the_tab_key(browser: Browser, folder: Path) -> None:
    browser.viewport(1280)
    browser.open(folder / "r.html")
    stops = "return [...document.querySelectorAll('svg[role=group]')]"
    stops += ".map((svg) => svg.querySelectorAll('[tabindex=\"0\"]').length)"
    found = browser.run(stops)
    assert len(found) > 15
    assert set(found) == {1}
    summaries = "return [...document.querySelectorAll('svg[role=group]')].map((s) => s.ariaLabel)"
    assert all(len(told) > 20 for told in browser.run(summaries))
    press = """
    const svg = document.querySelector('#correlation svg'), told = [];
    svg.querySelector('[tabindex="0"]').focus();
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowLeft', 'End', 'Home']) {
      document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
      told.push(document.activeElement.getAttribute('aria-label').split(',')[0]);
    }
    return told;
    """
    order = browser.run(
        "return [...document.querySelectorAll('#correlation svg')][0].querySelectorAll('.point')"
        ".length"
    )
    second, third, again, last, first = browser.run(press)
    assert order == len(DISTRIBUTIONS)
    assert second == again
    assert len({first, second, third, last}) == 4


MOVE = "const l = document.getElementById('level'); l.value = arguments[0];"
MOVE += "l.dispatchEvent(new Event('input'));"
TRUSTED = "return document.querySelectorAll('#ladder td.trusted').length"


def test_the_level_of_trust_moves(browser: Browser, folder: Path) -> None:
    browser.open(folder / "r.html")
    counts = [browser.run(MOVE + TRUSTED, level) for level in (0.5, 0.6, 0.8, 0.95)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
    browser.run(MOVE, 0.6)
    assert "the study's own" in browser.run(
        "return document.getElementById('ladder-words').textContent"
    )


def test_picks_are_told_for_every_group(browser: Browser, folder: Path) -> None:
    browser.open(folder / "r.html")
    rows = "return [...document.querySelectorAll('#picks tbody tr')].map((r) => r.innerText)"
    whole = browser.run(rows)
    assert len(whole) == len(TASKS) + 1  # the objective first
    assert whole[0].startswith("objective")
    choose = "const s = document.getElementById('choice-group'); s.value = 'similar';"
    alone = browser.run(choose + "s.dispatchEvent(new Event('change'));" + rows)
    assert len(alone) == len(whole)
    picked = {name for row in alone for name in re.findall(r"[\w-]+", row)}
    assert not picked & (set(DISTRIBUTIONS) - set(SIMILAR))
    assert browser.run("return document.querySelectorAll('#effects figure').length") == 1


def test_the_dark_page_is_dark(browser: Browser, folder: Path) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    mark = "return getComputedStyle(document.querySelector('#correlation .point')).fill"
    found = []
    for dark in (False, True):
        browser.viewport(1280, dark=dark)
        browser.open(folder / "r.html")
        found.append((browser.run(ground), browser.run(mark)))
    assert found[0][0] == "rgb(255, 255, 255)"
    assert found[1][0] != found[0][0]
    assert found[0][1] != found[1][1]
    browser.viewport(1280)


def test_paper_holds_no_config_and_few_pages(browser: Browser, folder: Path) -> None:
    browser.viewport(1280)
    browser.open(folder / "r.html")
    paper = browser.printed()
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 14
    shown = """
    return ['#statistics-table', 'details pre', 'nav', '.controls'].map((s) =>
      getComputedStyle(document.querySelector(s)).display);
    """
    browser.tell("Emulation.setEmulatedMedia", media="print")
    hidden = browser.run(shown)
    closed = browser.run("return getComputedStyle(document.querySelector('.screen-only')).display")
    browser.tell("Emulation.setEmulatedMedia", media="")
    assert hidden[0] == hidden[2] == hidden[3] == "none"
    assert closed == "none"
