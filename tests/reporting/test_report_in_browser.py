"""The report in a real browser: alive, true to its study, read by keyboard."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from support.browser import Browser
from support.synthetic_study import DISTRIBUTIONS, SCALES, SIMILAR, TASKS
from support.task_folders import TRICKY

pytestmark = pytest.mark.browser


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


def test_signal_to_noise_is_told_of_seeds_and_along_a_run(browser: Browser) -> None:
    cells = "return [...document.querySelectorAll(arguments[0] + ' tbody tr')]"
    cells += ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    seeds, along = browser.run(cells, "#signal"), browser.run(cells, "#waver")
    assert [row[0] for row in seeds] == ["objective", *TASKS]
    assert all(float(cell) > 0 for row in seeds for cell in row[1:])
    known = {row[0]: row[1:] for row in along if {*row[1:]} != {"n/a"}}
    first, *others, last = known[TASKS[0]]
    assert {*known} == {TASKS[0]}
    assert first == last != "n/a"
    assert {*others} == {"n/a"}


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


def test_what_trains_nothing_and_checkpoints_stand_in_figure_2(
    browser: Browser, folder: Path
) -> None:
    browser.open(folder / "r.html")
    points = """
    return [...document.querySelectorAll('#compute figure:first-child .point')].map((p) =>
      [p.getAttribute('aria-label'), p.getBBox().x + p.getBBox().width / 2]);
    """
    found = {told.split(",")[0].split(" · ")[1]: (told, x) for told, x in browser.run(points)}
    assert [*found] == [*list(SCALES)[:-1], "s@0.25", "s@0.5", "ngram", "overlap"]
    for name, (told, _) in found.items():
        assert ("trains nothing" in told) == (name in ("ngram", "overlap"))
        assert ("not annealed" in told) == ("@" in name)
        assert ("× cheaper" in told) == (name not in ("ngram", "overlap"))
        assert "with one left out" in told
    order = sorted(found, key=lambda name: found[name][1])
    assert order[:3] == ["ngram", "overlap", "xxs"]
    assert order.index("s@0.25") < order.index("s@0.5") < order.index("s")
    # the dotted line goes through the checkpoints and ends at the scale
    line = browser.run(
        "return document.querySelector('#compute figure:first-child .early')"
        ".getAttribute('points').split(' ').map((p) => +p.split(',')[0])"
    )
    assert line == pytest.approx([found[name][1] for name in ("s@0.25", "s@0.5", "s")], abs=0.6)


def test_what_moves_an_examples_r2_most_is_named(browser: Browser, folder: Path) -> None:
    browser.open(folder / "r.html")
    summary = "return document.querySelector('#example-detail .summary').textContent"
    losses = """
    return [...document.querySelectorAll('#example-detail .point')].map((p) =>
      p.getAttribute('aria-label').split(', ').map((t, i) => i ? +t.split(': ')[1] : t));
    """
    told, points = browser.run(summary), browser.run(losses)
    names = [point[0] for point in points]
    x, y = (np.array([point[i] for point in points]) for i in (1, 2))
    others = [np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1] for i in range(len(x))]
    ends = [f"{r * abs(r):.2f}".replace("-", "−") for r in (min(others), max(others))]
    moved = np.abs(np.arctanh(others) - np.arctanh(np.corrcoef(x, y)[0, 1]))
    most = names[int(moved.argmax())]
    assert f"with one left out {ends[0]} to {ends[1]}, most moved by {most}." in told


def test_selections_are_told_for_every_group(browser: Browser, folder: Path) -> None:
    browser.open(folder / "r.html")
    shown = """
    const texts = (css) => [...document.querySelectorAll(css)].map((e) => e.textContent);
    return [texts('#effects .point').length, texts('#gains .legend span'),
            texts('#composition tbody td:first-child'), texts('#effects-table tbody tr')]
    """
    points, methods, composed, effects = browser.run(shown)
    assert points == len(SCALES)
    assert {name.split(",")[0] for name in methods} == {"dsdm", "own"}
    assert composed == list(DISTRIBUTIONS)
    choose = "const s = document.getElementById('choice-group'); s.value = 'similar';"
    points, methods, composed, alone = browser.run(
        choose + "s.dispatchEvent(new Event('change'));" + shown
    )
    # what no distribution of the group is made by is not shown beside it
    assert {name.split(",")[0] for name in methods} == {"dsdm"}
    assert composed == list(SIMILAR)
    # of this selection the group is the smallest that holds it: the noise, too, is the same
    assert (points, alone) == (len(SCALES), effects)


def test_rules_without_a_model_stand_beside_the_models(browser: Browser, folder: Path) -> None:
    browser.open(folder / "r.html")
    cells = "return [...document.querySelectorAll('#guesses-table tr')].map((r) => r.innerText)"
    head, *rows = browser.run(cells)
    rules = ["chance", "majority", "longest", "copy", "indentation", "unigram"]
    assert head.split("\t") == ["test set", *rules, *SCALES]
    assert [row.split("\t")[:2] for row in rows] == [[TASKS[0], "25.0%"]]


def test_methods_have_the_shapes_and_shares_the_colours_of_figure_8(
    browser: Browser, folder: Path
) -> None:
    browser.open(folder / "r.html")
    fills = """
    return [...document.querySelectorAll('#gains .legend span')].map((span) =>
      [span.innerText, span.querySelector('path').getAttribute('d'),
       span.querySelector('path').style.fill]);
    """
    found = {name: (shape, fill) for name, shape, fill in browser.run(fills)}
    assert len(found) == 4
    shapes: dict[str, set[str]] = {}
    for name, (shape, _) in found.items():
        shapes.setdefault(name.split(",")[0], set()).add(shape)
    assert [len(each) for each in shapes.values()] == [1, 1]
    assert shapes["dsdm"] != shapes["own"]
    for share, place in (("5%", 0), ("25%", 1)):
        colours = {fill for name, (_, fill) in found.items() if f", {share} of" in name}
        assert colours == {f"var(--c{place})"}
    legend = "return [...document.querySelectorAll('#legend span')]"
    legend += ".find((s) => s.innerText.startsWith('dsdm')).querySelector('path').getAttribute('d')"
    assert shapes["dsdm"] == {browser.run(legend)}
