"""The report's layout in a real browser: no wider than the page, whole words, dark, on paper."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.browser import Browser

pytestmark = pytest.mark.browser


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


BROKEN = """
return [...document.querySelectorAll('table th, table td')].filter((n) => n.getClientRects().length)
  .flatMap((cell) => {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), broken = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode())
      for (const word of node.data.matchAll(/[\\w.,%×]{2,16}/g)) {
        if (/\\S{17}/.test(node.data)) continue;
        const range = document.createRange();
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        if (new Set([...range.getClientRects()].map((r) => r.top)).size > 1) broken.push(word[0]);
      }
    return broken;
  });
"""


@pytest.mark.parametrize("page", ["r.html", "foreign.html"])
def test_no_word_of_a_table_is_broken(browser: Browser, folder: Path, page: str) -> None:
    for width, media in ((400, ""), (1400, ""), (688, "print")):  # A4 within its margins
        browser.viewport(width)
        browser.tell("Emulation.setEmulatedMedia", media=media)
        browser.open(folder / page)
        assert browser.run(BROKEN) == []
    browser.tell("Emulation.setEmulatedMedia", media="")


def test_axes_name_their_unit(browser: Browser, folder: Path) -> None:
    browser.viewport(1280)
    labels = "return [...document.querySelectorAll('#correlation text.axis')]"
    for page in ("r.html", "foreign.html"):
        browser.open(folder / page)
        told = browser.run(labels + ".map((t) => t.textContent)")
        assert told
        assert all(re.fullmatch(r"loss of .+ \(nats per token\)", text) for text in told)


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


# What can be seen of charts and text, and the least contrast that it must have; grids and bands lie
# behind what they are about.
FAINT = """
const light = (c) => { const [r, g, b] = c.map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const parsed = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
function ground(node) {
  for (let n = node; n; n = n.parentElement) {
    const c = parsed(getComputedStyle(n).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c.slice(0, 3);
  }
}
const faint = [];
function see(node, name, opacity, least) {
  const c = parsed(getComputedStyle(node)[name]), below = ground(node);
  if (c.length < 3 || opacity === 0) return;
  const alpha = opacity * (c.length > 3 ? c[3] : 1);
  const mixed = c.slice(0, 3).map((v, i) => alpha * v + (1 - alpha) * below[i]);
  const [a, b] = [mixed, below].map(light);
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < least) faint.push([node.tagName, contrast.toFixed(2), node.textContent].join());
}
for (const n of document.querySelectorAll('main svg line, main svg polyline, main svg path.best')) {
  const style = getComputedStyle(n);
  if (!n.classList.contains('grid')) see(n, 'stroke', style.strokeOpacity * style.opacity, 3);
}
for (const n of document.querySelectorAll('main svg path.point')) {
  const hollow = n.style.fill.includes('paper'), style = getComputedStyle(n);
  const opacity = style.opacity * (hollow ? style.strokeOpacity : style.fillOpacity);
  see(n, hollow ? 'stroke' : 'fill', opacity, 3);
}
for (const n of document.querySelectorAll('main svg text')) see(n, 'fill', 1, 4.5);
const words = 'h1, h2, h3, p, td, th, small, label, button, a, summary, li';
for (const n of document.querySelectorAll(words))
  if (n.getClientRects().length && n.textContent.trim()) see(n, 'color', 1, 4.5);
return [faint, document.querySelectorAll('main svg line, main svg path.point').length];
"""


@pytest.mark.parametrize("dark", [False, True])
def test_all_that_is_drawn_and_written_can_be_seen(
    browser: Browser, folder: Path, dark: bool
) -> None:
    """Contrast as WCAG 2.1 defines it, of each mark, line and text with what is behind it."""
    browser.viewport(1280, dark=dark)
    browser.open(folder / "r.html")
    faint, seen = browser.run(FAINT)
    browser.viewport(1280)
    assert seen > 300
    assert faint == []


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


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler is not installed")
def test_on_paper_no_heading_ends_a_page(browser: Browser, folder: Path) -> None:
    browser.viewport(1280)
    browser.open(folder / "r.html")
    told = browser.run("return [...document.querySelectorAll('h2, h3, h4')].map(h => h.innerText)")
    command = ["pdftotext", "-", "-"]
    paper = subprocess.run(command, input=browser.printed(), capture_output=True, check=True)
    pages = paper.stdout.decode().rstrip("\f").split("\f")
    last = [page.strip().splitlines()[-1] for page in pages]
    assert len(pages) > 3
    assert not set(last) & set(filter(None, told))


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler is not installed")
def test_a_long_table_has_its_head_on_every_page(browser: Browser, folder: Path) -> None:
    browser.viewport(1280)
    browser.open(folder / "r.html")
    grown = """
    const table = [...document.querySelectorAll('table')].find((t) => t.querySelector('th button'));
    table.querySelector('th button').textContent = 'repeated head';
    const row = table.tBodies[0].rows[0];
    row.cells[0].textContent = 'grown row';
    for (let i = 0; i < 200; i++) row.after(row.cloneNode(true));
    for (let e = table; e; e = e.parentElement) if (e.tagName === 'DETAILS') e.open = true;
    """
    browser.run(grown)
    command = ["pdftotext", "-", "-"]
    paper = subprocess.run(command, input=browser.printed(), capture_output=True, check=True)
    pages = [page for page in paper.stdout.decode().split("\f") if "grown row" in page]
    assert len(pages) > 3
    assert all("repeated head" in " ".join(page.split()) for page in pages)


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
