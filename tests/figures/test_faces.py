"""Names in scripts that matplotlib's own face has, lacks, and that a font of the machine has."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from support.drawn import add_font, make, open_figure, own_fonts
from support.synthetic_study import synthetic

from proxyscale.figures.faces import FACE, faces, written
from proxyscale.figures.layout import text_width
from proxyscale.figures.style import RC

CHINESE, ARABIC = "语料库", "توزيع"
STUDY = {
    "distributions": (CHINESE, ARABIC, "x" * 60, "mix"),
    "tasks": ("一个测试集", "مجموعة"),
    "scales": {"小": 18224, "ref": 287616},
    "examples": 3,
}


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has matplotlib's own fonts alone."""
    monkeypatch.setattr(fontManager, "ttflist", own_fonts())


@pytest.mark.usefixtures("bare")
def test_what_no_font_has_is_written_by_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert faces("mix R² ✓") == [FACE]
    assert faces(ARABIC) == [FACE]
    assert capsys.readouterr().err == ""
    assert faces(f"mix {CHINESE}") == [FACE]
    assert "no font on this machine has" in capsys.readouterr().err
    assert written(f"mix {CHINESE[0]}", [FACE]) == "mix \\u8bed"
    assert written(f"{ARABIC}\n1", [FACE]) == f"{ARABIC}\n1"


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("name", ["correlation_fig1", "compute_fig2", "frontier"])
def test_no_name_of_a_figure_becomes_a_box(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each character that it has not
        figure = open_figure(name, synthetic(**STUDY))
    told = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "\\u" in told
    assert ARABIC in told or name != "correlation_fig1"
    assert not re.search("[一-鿿]", told)


@pytest.mark.usefixtures("bare")
def test_a_font_of_the_machine_is_used_for_what_is_missing(
    tmp_path: Path,
) -> None:
    add_font(tmp_path / "Some Han.ttf", "".join((CHINESE, *STUDY["tasks"], "小")))
    assert faces(f"mix {CHINESE}") == [FACE, "Some Han"]
    figure, _ = make("correlation_fig1", synthetic(**STUDY))
    (legend,) = figure.subfigs[1].legends
    entry = legend.get_texts()[0]
    assert entry.get_text() == CHINESE
    assert entry.get_fontfamily() == [FACE, "Some Han"]
    with mpl.rc_context(RC | {"font.family": [FACE, "Some Han"]}):
        assert text_width(CHINESE, 8) == pytest.approx(text_width("WWW", 8), rel=0.05)
