"""Reports with all that a study of language models can have, and with names of all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.reporting.report import write_report
from proxyscale.statistics.effects import effects
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.proxy_statistics import as_table
from proxyscale.statistics.scaling_laws import extrapolate
from support.synthetic_study import SCALES, SIMILAR, Study, synthetic, with_besides
from support.task_folders import task_folder

LONG = ("a distribution whose name has about sixty characters in all", "x" * 60, "语料库的分布")
FOREIGN: dict[str, Any] = {
    "distributions": (*LONG, "توزيع البيانات", "mix"),
    "tasks": ("一个测试集", "مجموعة اختبار", "withoutanybreak" * 4),
    "scales": {"a-scale-of-a-name-that-goes-on-and-on": 18224, "小模型": 41120, "ref": 287616},
    "examples": 4,
}


def write_page(out: Path, study: Study | None = None) -> None:
    """A report with all that a study of language models can have."""
    found = study or with_besides(synthetic(falling="trivia_like"))
    tables = found["losses"], found["runs"]
    names = found["runs"]["distribution"].unique().to_pylist()
    tasks = found["losses"]["task"].unique().to_pylist()
    laws = extrapolate(read_grid(*tables), reference="ref", groups={})
    groups: dict[str, tuple[str, ...]] = {} if study else {"similar": SIMILAR}
    chosen: Study = {"selected": {names[2]: tasks[1]}, "baseline": names[0], "groups": groups}
    rows = {
        "effects": effects(*tables, **chosen),
        "composition": [
            {"distribution": name, "draw": 0, "examples": 9, "different": 9, "docs": 0.4}
            | {"code": 0.6}
            | {f"in:{other}": float(name == other) for other in names}
            for name in names
        ],
    }
    rows["selection"] = [
        {"selected_for": tasks[0], "measured_on": tasks[0], "method": method, "proxy": proxy}
        | {"relative_compute": 0.1 if proxy else None, "fraction": share, "gain": share}
        | {"gain_low": share - 0.1, "gain_high": share + 0.1}
        | {"overlap_with_reference": None, "scores_spearman": None}
        for method, proxy in (("dsdm", names[0]), ("own", None))
        for share in (0.05, 0.25)
    ]
    paths = {kind: out.parent / f"{out.stem}-{kind}.csv" for kind in rows}
    for kind, path in paths.items():
        artifacts.write_csv(path, rows[kind])
    spec = {"study": "a <b> & c", "config": {"study": "s", "tasks": dict.fromkeys(tasks, 1)}}
    spec |= {"order": {"tasks": tasks}, "trust": {"decisions": 0.6}, "confidence": 0.95}
    spec |= {"trained": "ref", "style": {}, "groups": groups}
    spec |= {"methods": {name: name for name in names}}
    best = [
        {"statistic": "best_metric", "level": "metric", "group": "all", "task": task}
        | {"proxy": next(iter(SCALES)), "reference": "ref", "value": 0.9, "named": "bits_per_byte"}
        for task in tasks[: 0 if study else 2]
    ]
    wavers = [
        row | {"statistic": f"{whose}checkpoint_signal_to_noise"}
        for row in found["statistics"].to_pylist()
        if (row["statistic"], row["task"], row["group"]) == ("spearman", tasks[0], "all")
        if row["proxy"] == next(iter(SCALES)) and not study
        for whose in ("", "reference_")
    ]
    statistics = pa.concat_tables([found["statistics"], laws, as_table(best + wavers)])
    given = {"statistics": statistics, "losses": tables[0], "runs": tables[1], "tables": paths}
    write_report(out, spec, **given, tasks={tasks[0]: task_folder(out.parent / out.stem)})
