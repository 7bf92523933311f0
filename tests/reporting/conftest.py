"""Reports in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browser import CHROMIUM, DRIVER, Browser
from support.report_pages import FOREIGN, write_page
from support.synthetic_study import synthetic


@pytest.fixture(scope="session")
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
