"""What a study of image models will do and what that will cost, told before anything is spent."""

from __future__ import annotations

from pathlib import Path

from proxyscale.base.progress import aligned, quantity
from proxyscale.vision.runs import ImageRuns


def pool_examples(study: ImageRuns) -> int | None:
    """Images of the pool as far as the config tells."""
    pool = study.config.pool
    source = study.config.sources[pool.source]
    if pool.examples or source.images is None:
        return pool.examples
    return round(source.images * (1 - source.holdout - source.target))


def told_images(study: ImageRuns) -> str:
    """The plan as a table for people: a row per scale and distribution."""
    head = ("scale", "parameters", "distribution", "runs", "images/run", "FLOPs/run", "jobs done")
    rows, total, examples = [head], 0.0, pool_examples(study)
    for name, scale in study.scales.items():
        for distribution, entry in study.config.distributions.items():
            if name not in study.scales_of(distribution):
                continue
            ensembles = study.ensembles(distribution)
            runs = study.draws(distribution) * len(study.seeds(distribution))
            folders = [
                Path(study.paths.image_ensemble(name, distribution, ensemble))
                for ensemble in ensembles
            ]
            done = sum((folder / "manifest.json").exists() for folder in folders)
            share = entry.fraction if entry.method == "stratified" else 1.0
            seen = share * (examples or 0) * scale.training["epochs"]
            flops = 3 * scale.forward_flops * seen
            total += runs * flops
            told = (quantity(seen), f"{flops:.2e}") if examples else ("?", "?")
            count = f"{done}/{len(ensembles)}"
            rows.append((name, f"{scale.parameters:,}", distribution, str(runs), *told, count))
    return "\n".join([*aligned(rows), "", f"training, at most: {total:.2e} FLOPs"])
