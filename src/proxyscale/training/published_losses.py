"""The losses of a published model on every task, by token and by byte.

A model is loaded once and measured on all tasks whose losses are missing or no longer vouched for.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch

from proxyscale.base import artifacts, seals
from proxyscale.base.progress import Progress
from proxyscale.base.tables import check_losses
from proxyscale.base.vouching import Vouching
from proxyscale.data.model_files import ModelFiles, fetched, held
from proxyscale.training import language_model
from proxyscale.training.evaluate import judged, measure
from proxyscale.training.hugging_face import transformers
from proxyscale.training.own_tokens import OwnTokenizer
from proxyscale.training.published import Published, load

LOSSES, BYTES, FETCHED = "losses", "bytes", "fetched"  # folders of a model


def measure_published(
    out: Path, spec: Mapping[str, Any], tasks: Mapping[str, Path], title: str, version: str
) -> None:
    """Measure a model into `out`: losses/{task}.parquet in nats per token, bytes/{task}.parquet in
    bits per byte of the scored text, and manifest.json.

    `spec`: hub and revision, or folder and a `stamp` of its files; tokenizer ({hub, revision} or
    {folder}), weights, context, precision, batch_tokens, keep. A branch or tag counts as the commit
    that it was when the model was first measured.
    """
    language_model.prepare_cpu()
    known = _known(out, spec)
    made_of = _made_of(spec, known.get("commit"))
    digests = {n: artifacts.sha256(seals.verified(f / "manifest.json")) for n, f in tasks.items()}
    wanted = {n: {"model": made_of, "task": d, "version": version} for n, d in digests.items()}
    vouching = Vouching(out / BYTES, ".parquet", wanted)
    lost = [n for n in tasks if not seals.intact(out / LOSSES / f"{n}.parquet")]
    stale = [n for n in tasks if n in {*vouching.stale, *lost}]
    if not stale and known:
        return
    files = _files(out, spec, known.get("commit"))
    device = language_model.device()
    precision = language_model.precision(spec["precision"], device)
    where = spec["hub"] or spec["folder"]
    options = {name: spec[name] for name in ("weights", "context")}
    model, unread = load(files.folder, where, precision=precision, device=device, **options)
    tokenizer = OwnTokenizer(_tokenizer_folder(out, spec, files.folder), where)
    made_of = _made_of(spec, files.commit)
    progress, scored = Progress(title, len(stale)), {}
    for name, folder in tasks.items():
        table = artifacts.read(folder / "holdout.parquet", "task")
        encoded = tokenizer.encoded(table, model.vocabulary, where)
        scored[name] = encoded.digest
        if name not in stale:
            continue
        _write(out, name, encoded.table, model, spec["batch_tokens"], title)
        vouching.made_of = {**vouching.made_of, name: wanted[name] | {"model": made_of}}
        vouching.made(name, out / BYTES / f"{name}.parquet")
        progress.step(stale.index(name) + 1, name)
    progress.close()
    facts = {"commit": files.commit, "scored": scored, "unread": unread, "precision": precision}
    _write_manifest(out, spec, model, facts)
    if not spec["keep"]:
        shutil.rmtree(out / FETCHED, ignore_errors=True)


def _known(out: Path, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What was found of this model before; nothing if it was another one."""
    path = out / "manifest.json"
    known: dict[str, Any] = artifacts.read_json(path) if seals.intact(path) else {}
    same = all(known.get(name) == spec[name] for name in ("hub", "folder", "revision"))
    return known if same else {}


def _made_of(spec: Mapping[str, Any], commit: str | None) -> str:
    """All that losses depend on but task and code, as words."""
    own = {name: value for name, value in spec.items() if name not in ("keep", "batch_tokens")}
    return json.dumps({**own, "commit": commit}, sort_keys=True)


def _files(out: Path, spec: Mapping[str, Any], commit: str | None) -> ModelFiles:
    if spec["folder"]:
        return held(spec["folder"], spec["weights"])
    into = None if spec["keep"] else out / FETCHED
    return fetched(spec["hub"], commit or spec["revision"], spec["weights"], into)


def _tokenizer_folder(out: Path, spec: Mapping[str, Any], folder: Path) -> Path:
    """Where the tokenizer lies: with the model, or where the config says."""
    own = spec["tokenizer"]
    if own is None:
        return folder
    if own["folder"]:
        return held(own["folder"], None).folder
    into = None if spec["keep"] else out / FETCHED / "tokenizer"
    return fetched(own["hub"], own["revision"], None, into).folder


def _write(
    out: Path, task: str, table: Any, model: Published, batch_tokens: int, title: str
) -> None:
    """Both tables of a task's losses."""
    measured = measure(model, table, batch_tokens)
    by_token = judged(table, measured)
    check_losses(by_token, f"{title}, {task}", model.vocabulary)
    artifacts.write(out / LOSSES / f"{task}.parquet", by_token, "run_losses")
    artifacts.write(out / BYTES / f"{task}.parquet", judged(table, measured, True), "run_losses")


def _write_manifest(
    out: Path, spec: Mapping[str, Any], model: Published, facts: Mapping[str, Any]
) -> None:
    versions = {"torch": torch.__version__, "transformers": transformers().__version__}
    artifacts.write_manifest(
        out / "manifest.json",
        [],
        **{name: spec[name] for name in ("hub", "folder", "revision")},
        **facts,
        architecture=type(model.model).__name__,
        parameters=model.parameters,
        vocabulary=model.vocabulary,
        context=model.context,
        versions={**versions, "tokenizers": tokenizers.__version__, "numpy": np.__version__},
    )
