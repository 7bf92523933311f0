"""Published models are measured as they are: the losses of transformers' own forward pass, the
tokens of their own tokenizer, and no silent stand-in for what is missing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import published_models as made

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.training import own_tokens, published, published_losses
from proxyscale.training.evaluate import judged, measure

pytest.importorskip("transformers")

CPU = torch.device("cpu")
ASKED = [
    ("the cat sat on", " a mat", 0, True),
    ("the cat sat on", " the dog", 1, False),
    ("it had seen ", "the cat sat there " * 9, 0, True),
    ("", "the dog ran to see what it had seen there", 0, True),
    ("the " * 90, "cat", 0, True),
]
# example of each of these rows, in its own numbering
EXAMPLES = [0, 0, 1, 2, 3]


def asked() -> pa.Table:
    """Choices, a long answer, a whole text and a prompt beyond what the models see."""
    rows = [
        {
            "example": example,
            "choice": choice,
            "gold": gold,
            "tokens": [],
            "scored_from": 0,
            "prompt": prompt,
            "continuation": text,
            "bytes": len((text.lstrip() if prompt else text).encode()),
            "characters": len(text),
        }
        for example, (prompt, text, choice, gold) in zip(EXAMPLES, ASKED, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=artifacts.SCHEMAS["task"])


def opened(folder: Path, **options: Any) -> published.Published:
    return published.load(folder, str(folder), device=CPU, **options)[0]


def own_sum(model: Any, context: list[int], scored: list[int], limit: int) -> float:
    """−Σ log p of tokens behind a context by one whole forward pass, in double."""
    kept = [*context, *scored][-(limit + 1) :]
    logits = model(torch.tensor([kept[:-1]])).logits[0].double().log_softmax(-1)
    picked = logits[range(len(kept) - 1), kept[1:]][-len(scored) :]
    return -float(picked.sum())


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "gpt2", "gemma2"])
@torch.inference_mode()
def test_losses_are_those_of_the_models_own_forward_pass(tmp_path: Path, kind: str) -> None:
    size = made.tokenizer(tmp_path)
    model = made.model(tmp_path, kind, vocabulary=size)
    found, tokens = opened(tmp_path), own_tokens.OwnTokenizer(tmp_path, "here")
    table = tokens.encoded(asked(), size, "here").table
    got = measure(found, table)
    for row, loss in zip(table.to_pylist(), got.loss, strict=True):
        cut = row["scored_from"]
        whole = own_sum(model, row["tokens"][:cut], row["tokens"][cut:], found.context)
        assert loss == pytest.approx(whole, rel=1e-5)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    # gemma's logits are capped after its head, so a head alone would not do
    if kind == "gemma2":
        assert model.config.final_logit_softcapping


def test_bits_per_byte_are_the_nats_of_the_text_over_its_bytes(tmp_path: Path) -> None:
    size = made.tokenizer(tmp_path)
    made.model(tmp_path, vocabulary=size)
    encoded = own_tokens.OwnTokenizer(tmp_path, "here").encoded(asked(), size, "here").table
    got = measure(opened(tmp_path), encoded)
    by_token, by_byte = (judged(encoded, got, per) for per in (False, True))
    gold = encoded.filter(encoded["gold"])
    nats = by_token["loss"].to_numpy() * by_token["tokens"].to_numpy()
    bits = nats / math.log(2) / gold["bytes"].to_numpy()
    np.testing.assert_allclose(by_byte["loss"].to_numpy(), bits, rtol=1e-5)
    assert by_byte["tokens"].null_count == len(gold)
    right, wrong = got.loss[:2] / encoded["bytes"].to_numpy()[:2]
    assert by_byte["correct"][0].as_py() == float(right < wrong)
    assert by_byte["lead"][0].as_py() == pytest.approx((wrong - right) / math.log(2), rel=1e-5)


@pytest.mark.parametrize(("begin", "end"), [(True, False), (False, False), (True, True)])
def test_tokens_are_those_that_the_tokenizer_itself_begins_with(
    tmp_path: Path, begin: bool, end: bool
) -> None:
    size = made.tokenizer(tmp_path, begin=begin, end=end)
    own = own_tokens.OwnTokenizer(tmp_path, "here")
    rows = own.encoded(asked(), size, "here").table.to_pylist()
    first = own.own.convert_tokens_to_ids(made.BEGIN if begin else made.END)
    last = own.own.eos_token_id
    for row, (prompt, text, *_) in zip(rows, ASKED, strict=True):
        plain = own.own.encode(prompt.rstrip(), add_special_tokens=False)
        before = [first] if begin or not prompt else []
        assert row["tokens"][: row["scored_from"]] == before + plain
        scored = own.own.decode(row["tokens"][row["scored_from"] :])
        assert scored == prompt[len(prompt.rstrip()) :] + text
        assert last not in row["tokens"][1:]


def test_a_text_that_begins_as_the_tokenizer_would_is_not_begun_twice(tmp_path: Path) -> None:
    size = made.tokenizer(tmp_path, begin=True)
    own = own_tokens.OwnTokenizer(tmp_path, "here")
    table = asked().slice(0, 1)
    place = table.column_names.index("prompt")
    table = table.set_column(place, "prompt", pa.array([f"{made.BEGIN}the cat"]))
    row = own.encoded(table, size, "here").table.to_pylist()[0]
    assert row["tokens"].count(own.own.bos_token_id) == 1


def test_shards_and_other_types_of_numbers_are_one_model(tmp_path: Path) -> None:
    whole = made.model(tmp_path / "whole")
    made.model(tmp_path / "shards", shard="20KB")
    assert len(list((tmp_path / "shards").glob("model-*-of-*.safetensors"))) > 2
    made.model(tmp_path / "half", dtype=torch.bfloat16)
    tokens = torch.arange(40)[None]
    wanted = whole(tokens).logits
    for name, tolerance in (("shards", 1e-6), ("half", 0.05)):
        found = opened(tmp_path / name)
        assert next(found.model.parameters()).dtype == torch.float32
        torch.testing.assert_close(found.model(tokens).logits, wanted, rtol=0, atol=tolerance)


def spoiled(folder: Path, **changes: torch.Tensor | None) -> None:
    """Other weights in a model's file; None takes one away."""
    weights = load_file(folder / "model.safetensors")
    for name, value in changes.items():
        full = name.replace("__", ".")
        weights.pop(full, None)
        if value is not None:
            weights[full] = value
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def config(folder: Path, **changes: Any) -> None:
    told = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(told))


Q = "model__layers__0__self_attn__q_proj__weight"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: spoiled(f, **{Q: None}), "lacks weights of a LlamaForCausalLM: 1"),
        (lambda f: spoiled(f, **{Q: torch.full((32, 32), torch.nan)}), "q_proj.weight has values"),
        (lambda f: spoiled(f, **{Q: torch.zeros(8, 8)}), "cannot be loaded|misshapen"),
        (lambda f: config(f, model_type="mine"), "knows no architecture 'mine'"),
        (
            lambda f: config(f, model_type="mine", auto_map={"AutoConfig": "mine.Config"}),
            "code of its own, which is never run",
        ),
    ],
)
def test_a_model_that_is_not_whole_is_refused(tmp_path: Path, spoil: Any, told: str) -> None:
    made.model(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=told):
        opened(tmp_path)


def test_a_model_that_looks_ahead_is_refused(tmp_path: Path) -> None:
    made.model(tmp_path, "bert")
    with pytest.raises(UserError, match="is no causal model"):
        opened(tmp_path)


def test_weights_that_the_class_does_not_have_are_told(tmp_path: Path) -> None:
    made.model(tmp_path)
    spoiled(tmp_path, v_head__weight=torch.ones(1))
    _, unread = published.load(tmp_path, "here", device=CPU)
    assert unread == ["v_head.weight"]


def test_a_pickle_is_read_where_it_is_asked_for_and_runs_nothing(tmp_path: Path) -> None:
    model = made.model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    tokens = torch.arange(40)[None]
    found = opened(tmp_path, weights="bin").model(tokens).logits
    torch.testing.assert_close(found, model(tokens).logits, rtol=0, atol=1e-6)

    class Evil:
        def __reduce__(self) -> Any:
            return (Path(tmp_path / "harm").write_text, ("done",))

    torch.save({"x": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be loaded"):
        opened(tmp_path, weights="bin")
    assert not (tmp_path / "harm").exists()


def test_a_tokenizer_must_be_there_and_the_models(tmp_path: Path) -> None:
    made.model(tmp_path)
    with pytest.raises(UserError, match="has no tokenizer"):
        own_tokens.OwnTokenizer(tmp_path, "here")
    made.tokenizer(tmp_path)
    own = own_tokens.OwnTokenizer(tmp_path, "here")
    with pytest.raises(UserError, match="its tokenizer has a token"):
        own.encoded(asked(), 100, "here")


def spec(folder: Path, **changes: Any) -> dict[str, Any]:
    own = {"hub": None, "folder": str(folder), "revision": None, "tokenizer": None, "stamp": "1"}
    own |= {"weights": "safetensors", "context": None, "precision": "auto", "batch_tokens": 512}
    return own | {"keep": True} | changes


def test_a_model_is_loaded_once_and_measured_where_it_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = made.tokenizer(tmp_path / "hf")
    made.model(tmp_path / "hf", vocabulary=size)
    for name in ("a", "b"):
        artifacts.write(tmp_path / name / "holdout.parquet", asked(), "task")
        artifacts.write_manifest(tmp_path / name / "manifest.json", [], name=name)
    loads: list[Path] = []
    load = published_losses.load

    def counted(folder: Path, *args: Any, **options: Any) -> Any:
        loads.append(folder)
        return load(folder, *args, **options)

    monkeypatch.setattr(published_losses, "load", counted)

    def run(*tasks: str, **changes: Any) -> None:
        folders = {name: tmp_path / name for name in tasks}
        own = spec(tmp_path / "hf", **changes)
        published_losses.measure_published(tmp_path / "out", own, folders, "it", "v1")

    run("a", "b")
    run("a", "b")
    assert len(loads) == 1
    before = (tmp_path / "out/losses/a.parquet").stat().st_mtime_ns
    artifacts.write_manifest(tmp_path / "b" / "manifest.json", [], name="changed")
    run("a", "b")
    assert len(loads) == 2
    assert (tmp_path / "out/losses/a.parquet").stat().st_mtime_ns == before
    run("a", "b", stamp="2")
    assert len(loads) == 3
    facts = artifacts.read_json(tmp_path / "out/manifest.json")
    assert facts["scored"]["a"] == facts["scored"]["b"]
    assert facts["architecture"] == "LlamaForCausalLM"
