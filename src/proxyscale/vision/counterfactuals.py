"""Single test images under training distributions that leave a part of the pool out (Fig 14)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.base.tables import where
from proxyscale.statistics import intervals
from proxyscale.statistics.measures import levers, pearson

Row = dict[str, Any]
INTERVALS = {"r2": intervals.r2_interval, "pearson": intervals.pearson_interval}


def margin_points(losses: pa.Table, spec: Mapping[str, Any], image: int) -> list[Row]:
    """A point of Figure 14 for every training distribution made for a test image.

    Each has its distribution, the share left out, and the mean margins `proxy` and `large` over
    models of the two widths. `spec`: counterfactuals and removals ([distribution, shares]).
    """
    section = spec["counterfactuals"]
    place, points = section["images"].index(image), []
    own = where(losses, task=section["task"], example=image)
    means = own.group_by(["scale", "distribution", "draw"], use_threads=False)
    keys = ("scale", "distribution", "draw")
    found = {
        tuple(row[k] for k in keys): row["margin_mean"]
        for row in means.aggregate([("margin", "mean")]).to_pylist()
    }
    for name, shares in spec["removals"]:
        for number, share in enumerate(shares):
            draw = place * len(shares) + number
            proxy, large = (found[section[s], name, draw] for s in ("proxy", "large"))
            points.append({"distribution": name, "share": share, "proxy": proxy, "large": large})
    return points


def counterfactual_rows(losses: pa.Table, spec: Mapping[str, Any]) -> Iterator[Row]:
    """R² and Pearson of every test image of Figure 14, over all distributions and each group, and
    what one distribution less makes of r."""
    section = spec["counterfactuals"]
    groups = {"all": [name for name, _ in spec["removals"]], **spec["groups"]}
    for image in section["images"]:
        points = margin_points(losses, spec, image)
        for group, members in groups.items():
            own = [point for point in points if point["distribution"] in members]
            proxy, large = (np.array([point[key] for point in own]) for key in ("proxy", "large"))
            r = float(pearson(proxy, large))
            place = {"level": "example", "group": group, "task": section["task"], "n": len(own)}
            place |= {"example": image, "proxy": section["proxy"], "reference": section["large"]}
            for name, interval in INTERVALS.items():
                low, high = interval(proxy, large, spec["confidence"])
                value = r**2 if name == "r2" else r
                ends = {"low": float(low), "high": float(high)}
                yield place | {"statistic": name, "value": value} | ends
            if (found := levers(proxy, large)) is not None:
                others, most = found
                named = f"{own[most]['distribution']} {own[most]['share']:.0%}"
                ends = {"low": float(np.nanmin(others)), "high": float(np.nanmax(others))}
                moved = {"statistic": "pearson_leave_one_out", "value": r, "named": named}
                yield place | moved | ends
