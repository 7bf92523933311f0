"""CPU seconds of TRAK's features beside `traker`, and of the projection beside a dense matrix.

One thread, fp32, a model of 1.07M parameters. `traker` (0.3.2, installed without dependencies)
may lie anywhere on PYTHONPATH; without it our own times alone are printed.
Run as a script: python tests/benchmarks/bench_attribute.py
"""

from __future__ import annotations

import itertools
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
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


def seconds(function: Callable[[], object], times: int) -> float:
    """CPU seconds of one call, the first one aside."""
    function()
    start = time.process_time()
    for _ in range(times):
        function()
    return (time.process_time() - start) / times


def examples(texts: Tensor) -> features.Examples:
    scored = torch.ones(LENGTH, dtype=torch.bool)
    scored[-1] = False

    def read(where: slice, context: int) -> features.Batch:
        tokens = texts[where].view(-1, 1, context)
        return features.Batch(tokens, tokens.roll(-1, 2), scored.expand_as(tokens))

    return features.Examples("pool", np.arange(len(texts)), "", read)


def ours(folder: Path, model: language_model.LanguageModel, texts: Tensor, dimension: int) -> float:
    """CPU seconds an example of `featurize`, files and digests included."""
    language_model.save(model, folder / "model.safetensors")
    artifacts.write_json(folder / "manifest.json", {"model": SPEC})
    spec = {"dimension": dimension, "seed": 0}
    names = (folder / str(number) for number in itertools.count())
    wanted = examples(texts)
    return seconds(lambda: features.featurize(next(names), folder, wanted, spec), 2) / len(texts)


@torch.backends.mkldnn.flags(enabled=False, allow_tf32=None)
def theirs(
    folder: Path, model: language_model.LanguageModel, texts: Tensor, dimension: int
) -> float:
    """CPU seconds an example of `TRAKer.featurize` with the same model output."""
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
        train_set_size=3 * len(texts),
        save_dir=str(folder),
        device="cpu",
        proj_dim=dimension,
        use_half_precision=False,
        logging_level=40,
    )
    # Its parameters are other tensors, without the shapes that say that the multiplier is 1.
    parametrization.width_multiplier = lambda parameter: 1.0
    traker.load_checkpoint(model.state_dict(), model_id=0)
    batches = itertools.cycle(texts.split(BATCH))
    return seconds(lambda: traker.featurize([next(batches)], num_samples=BATCH), 4) / BATCH


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


def bench_projection(model: language_model.LanguageModel, texts: Tensor, dimension: int) -> None:
    parts = list(gradients(model, texts))
    whole = torch.cat([flat(part) for part in parts])
    exact = whole @ whole.T
    quality: dict[str, list[float]] = {"dense": [], "proxyscale": []}
    for seed in range(3):
        dense = torch.randn(whole.shape[1], dimension, generator=seeded(seed))
        quality["dense"].append(kept(whole @ dense, exact))
        sketch = Projection(dimension, seed)
        features = torch.cat([project(sketch, part) for part in parts])
        quality["proxyscale"].append(kept(features, exact))
    block = whole[:BATCH].contiguous()
    times = {
        "dense": seconds(lambda: block @ dense, 4) / BATCH,
        "proxyscale": seconds(lambda: project(sketch, parts[0]), 20) / BATCH,
    }
    print(f"\n{f'projection, k = {dimension}':24s} {'CPU ms':>8s}  Spearman of inner products")
    for name, spent in times.items():
        told = " ".join(f"{value:.4f}" for value in quality[name])
        print(f"{name:24s} {1e3 * spent:8.2f}  {np.mean(quality[name]):.4f} ({told})")
    print(f"ratio {times['dense'] / times['proxyscale']:.1f}")


def main() -> None:
    torch.set_num_threads(1)
    texts = rows()
    model = trained(texts)
    texts = texts[-96:]
    bench_projection(trained(rows()), texts, 512)
    features.BATCH["cpu"] = BATCH
    with tempfile.TemporaryDirectory() as name:
        spent = ours(Path(name), model, texts, 256)
        print(f"\n{'features, k = 256':24s} {'CPU ms':>8s} {'examples/s':>11s}")
        print(f"{f'proxyscale, batch {BATCH}':24s} {1e3 * spent:8.2f} {1 / spent:11.1f}")
        try:
            slow = theirs(Path(name) / "traker", model, texts, 256)
        except ImportError as error:
            print(f"traker is not here ({error})")
            return
    print(f"{f'traker, batch {BATCH}':24s} {1e3 * slow:8.2f} {1 / slow:11.1f}")
    print(f"ratio {slow / spent:.1f}")


if __name__ == "__main__":
    main()
