"""The report of a study of images: from its tables alone, by the same program."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from proxyscale.base import artifacts
from proxyscale.reporting.attribution import attribution_words
from proxyscale.reporting.report import write_report
from proxyscale.statistics.proxy_statistics import as_table

PLACE = {"level": "distribution", "task": "digits", "reference": "wide", "n": 64}


def lds(group: str, proxy: str | None, value: float, ratio: float | None) -> dict[str, Any]:
    numbers = {"value": value, "low": value - 0.1, "high": value + 0.1, "ceiling": 0.8}
    return (
        PLACE
        | numbers
        | {"statistic": "lds", "group": group, "proxy": proxy}
        | {"compute_ratio": ratio}
    )


ROWS = [
    lds("trak/1", "narrow", 0.2, 80),
    lds("trak/8", "narrow", 0.3, 10),
    lds("trak/8", "wide", 0.5, 1),
    lds("lasso/64", "narrow", 0.25, 20),
    PLACE | {"statistic": "accuracy", "group": "pool", "proxy": "narrow", "value": 0.7},
    PLACE | {"statistic": "scores_spearman", "group": "trak/8", "proxy": "narrow", "value": 0.4},
]


def runs() -> pa.Table:
    rows = [
        {"scale": scale, "distribution": "pool", "draw": 0, "seed": seed, "role": "proxy"}
        | {"parameters": size, "tokens": 100, "flops": float(size), "seconds": 2.0}
        for scale, size in (("wide", 400), ("narrow", 100))
        for seed in range(4)
    ]
    return artifacts.conform(pa.Table.from_pylist(rows), "runs")


def write(out: Path, rows: list[dict[str, Any]], **more: Any) -> str:
    spec = {"study": "images", "config": {"study": "images"}, "order": {}, "confidence": 0.95}
    spec |= {"reference": "wide", "style": {}, "texts": more.pop("texts", True)}
    losses = artifacts.SCHEMAS["losses"].empty_table()
    given = {"statistics": as_table(rows), "losses": losses, "runs": runs()}
    write_report(out, spec, **given, **more)
    return out.read_text()


def data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def test_the_page_has_what_attribution_tells_and_nothing_else(tmp_path: Path) -> None:
    page = write(tmp_path / "r.html", ROWS)
    sections = re.findall(r'<section id="([\w-]+)">', page)
    assert sections == ["answer", "attribution", "statistics", "costs", "reproduce"]
    assert re.findall(r'<a href="#([\w-]+)">', page) == sections
    shown = data(page)
    assert shown["widths"] == ["narrow", "wide"]  # by compute, not as they were run
    assert [row["value"] for row in shown["attribution"]] == [0.2, 0.3, 0.5, 0.25]
    assert [row["value"] for row in shown["accuracy"]] == [0.7]
    assert [(row["scale"], row["ratio"]) for row in shown["costs"]] == [("narrow", 4), ("wide", 1)]
    assert "Scores through narrow are 60% as good as wide&#x27;s own, 10× cheaper" in page


def test_pictures_stand_in_the_page_unless_images_are_kept_out(tmp_path: Path) -> None:
    picture = tmp_path / "influence_fig7.svg"
    with artifacts.atomic(picture) as temporary:
        temporary.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    given = {"pictures": {"influence_fig7": picture}}
    page = write(tmp_path / "r.html", ROWS, **given)
    assert page.count('src="data:image/svg+xml;base64,') == 1
    assert '<a href="#pictures">' in page
    page = write(tmp_path / "r.html", ROWS, **given, texts=False)
    assert "base64," not in page
    assert "#pictures" not in page


@pytest.mark.parametrize(
    ("own", "said"), [(0.05, "not known to foretell it"), (0.2, "150% as good")]
)
def test_scores_that_may_be_worth_nothing_are_called_so(own: float, said: str) -> None:
    rows = [lds("trak/8", "narrow", 0.3, 10), lds("trak/8", "wide", own, 1)]
    headline, sentence = attribution_words(as_table(rows), "wide", ["narrow", "wide"])
    assert said in headline
    assert "an LDS of 0.30 [0.20, 0.40], 10× cheaper" in sentence
    assert "perfect scores would reach 0.80" in sentence


def test_narrow_scores_that_may_be_worth_nothing_are_no_share_of_the_references() -> None:
    rows = [lds("trak/8", "narrow", -0.05, 10), lds("trak/8", "wide", 0.4, 1)]
    headline, sentence = attribution_words(as_table(rows), "wide", ["narrow", "wide"])
    assert headline == "Scores through narrow are not known to foretell wide"
    assert "an LDS of -0.05 [-0.15, 0.05], 10× cheaper" in sentence
    # of truths that were trained once no ceiling is known
    blind = [row | {"ceiling": None} for row in rows]
    assert "perfect" not in attribution_words(as_table(blind), "wide", ["narrow", "wide"])[1]
