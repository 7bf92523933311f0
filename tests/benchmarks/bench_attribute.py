"""TRAK's features beside `traker`, and the projection beside a dense matrix.

fp32, a model of 1.07M parameters; files and digests are counted in ours. Inner products of
projected gradients keep their order no worse than the dense matrix keeps it.
"""

from __future__ import annotations

import importlib.util
import itertools
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from timing import Row, Work, compared, in_turns
from torch import Tensor

from proxyscale.attribution import features
from proxyscale.attribution.gradients import GradientComputer
from proxyscale.attribution.model_output import model_output
from proxyscale.attribution.projection import Projection
from proxyscale.base import artifacts
from proxyscale.training import language_model, parametrization

LENGTH, BATCH = 128, 8
SPEC = {
    "vocabulary": 1024,
    "context": LENGTH,
    "width": 128,
    "layers": 4,
    "heads": 8,
    "mlp_ratio": 4,
    "bias": False,
    "tied": False,
    "parametrization": "mup",
    "base_width": 128,
}


def rows() -> Tensor:
    """The standard library's source, a token a byte."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    text = b"".join(path.read_bytes() for path in paths)
    usable = len(text) // LENGTH * LENGTH
    found = torch.from_numpy(np.frombuffer(text[:usable], np.uint8).astype(np.int64))
    return found.view(-1, LENGTH)[torch.randperm(usable // LENGTH, generator=seeded(0))]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trained(texts: Tensor, steps: int = 30) -> language_model.LanguageModel:
    """A model past its start, where the gradients' spectrum is no longer that of noise."""
    model = language_model.build(SPEC, seed=0)
    training = {
        "learning_rate": 1e-2,
        "hidden_learning_rate": 1e-3,
        "weight_decay": 0.0,
        "betas": (0.9, 0.95),
        "eps": 1e-8,
    }
    optimizer = parametrization.optimizer(model, model.hidden_matrices(), training)
    for batch in texts[: 16 * steps].split(16):
        states = model.hidden(batch[:, :-1]).flatten(0, 1)
        language_model.cross_entropy(states, model.readout, batch[:, 1:].flatten()).backward()
        optimizer.step()
        model.zero_grad()
    return model


def examples(texts: Tensor) -> features.Examples:
    scored = torch.ones(LENGTH, dtype=torch.bool)
    scored[-1] = False

    def read(where: slice, context: int) -> features.Batch:
        tokens = texts[where].view(-1, 1, context)
        return features.Batch(tokens, tokens.roll(-1, 2), scored.expand_as(tokens))

    return features.Examples("pool", np.arange(len(texts)), "", read)


def ours(folder: Path, model: language_model.LanguageModel, texts: Tensor, dimension: int) -> Work:
    """`featurize` of all texts, files and digests included."""
    language_model.save(language_model.weights(model), folder / "model.safetensors")
    artifacts.write_json(folder / "manifest.json", {"model": SPEC})
    spec = {"dimension": dimension, "seed": 0}
    names, wanted = (folder / str(number) for number in itertools.count()), examples(texts)
    return lambda: features.featurize(next(names), folder, wanted, spec)


def theirs(
    folder: Path, model: language_model.LanguageModel, texts: Tensor, dimension: int
) -> Work:
    """`TRAKer.featurize` of a batch, with the same model output."""
    from trak import TRAKer
    from trak.modelout_functions import AbstractModelOutput

    class Output(AbstractModelOutput):
        def __init__(self) -> None:
            pass

        @staticmethod
        def get_output(model, weights, buffers, row):
            logits = torch.func.functional_call(model, (weights, buffers), (row[None, :-1],))
            scored = torch.ones(1, LENGTH - 1, dtype=torch.bool)
            return model_output(logits, row[None, 1:], scored).squeeze()

        def get_out_to_loss_grad(self, model, weights, buffers, batch):
            return torch.ones(len(batch[0]), 1)

    traker = TRAKer(
        model=model,
        task=Output(),
        train_set_size=100 * len(texts),
        save_dir=str(folder),
        device="cpu",
        proj_dim=dimension,
        use_half_precision=False,
        logging_level=40,
    )
    traker.load_checkpoint(model.state_dict(), model_id=0)
    batches = itertools.cycle(texts.split(BATCH))

    @torch.backends.mkldnn.flags(enabled=False, allow_tf32=None)
    def work() -> None:
        traker.featurize([next(batches)], num_samples=BATCH)

    return work


def gradients(model: language_model.LanguageModel, texts: Tensor) -> Iterator[dict[str, Tensor]]:
    compute, wanted = GradientComputer(model), examples(texts)
    for start in range(0, len(texts), BATCH):
        batch = wanted.read(slice(start, start + BATCH), LENGTH)
        # Without oneDNN the examples of a batch come together.
        with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
            yield {name: gradient.clone() for name, _, gradient in compute(*batch)}


def flat(named: dict[str, Tensor]) -> Tensor:
    return torch.cat([gradient.flatten(1) for gradient in named.values()], 1)


def project(projection: Projection, named: dict[str, Tensor]) -> Tensor:
    total = projection.start(BATCH)
    for name, gradient in named.items():
        projection.add(total, name, gradient)
    return projection.finish(total)


def kept(features: Tensor, exact: Tensor) -> float:
    """Spearman over all pairs of examples, each with itself left out."""
    pairs = np.triu_indices(len(features), 1)
    return spearmanr((features @ features.T).numpy()[pairs], exact.numpy()[pairs]).statistic


def check_order(parts: list[dict[str, Tensor]], dimension: int) -> None:
    """AssertionError where ours keeps the order of inner products worse than a dense matrix."""
    whole = torch.cat([flat(part) for part in parts])
    exact, quality = whole @ whole.T, {"dense": 0.0, "ours": 0.0}
    for seed in range(3):
        dense = torch.randn(whole.shape[1], dimension, generator=seeded(seed))
        sketch = Projection(dimension, seed)
        quality["dense"] += kept(whole @ dense, exact) / 3
        quality["ours"] += kept(torch.cat([project(sketch, part) for part in parts]), exact) / 3
    assert quality["ours"] > quality["dense"] - 0.01, quality


def measured(rounds: int) -> Iterator[Row]:
    """Examples a second, of the projection and of all that features take."""
    torch.set_num_threads(1)
    texts = rows()
    model, texts = trained(texts), texts[-96:]
    parts = list(gradients(model, texts))
    check_order(parts, 512)
    block, sketch = flat(parts[0]).contiguous(), Projection(512, 0)
    dense = torch.randn(block.shape[1], 512, generator=seeded(0))
    seconds = in_turns(rounds, lambda: project(sketch, parts[0]), lambda: block @ dense)
    yield from compared("projection, k = 512", "examples", BATCH, seconds, ["dense matrix"])
    there = importlib.util.find_spec("trak") is not None
    for dimension in (256, 4096):
        with tempfile.TemporaryDirectory() as name:
            works = [ours(Path(name), model, texts, dimension)]
            works += [theirs(Path(name) / "traker", model, texts, dimension)] * there
            own, *other = in_turns(rounds, *works)
        each = [[seconds / len(texts) for seconds in own], *([s / BATCH for s in o] for o in other)]
        what = f"TRAK's features, k = {dimension}"
        yield from compared(what, "examples", 1, each, ["traker"] * there)
