"""Files of published models: what is fetched, what is refused, and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from support.hub_server import COMMIT, Hub

from proxyscale.base.errors import UserError
from proxyscale.data.model_files import fetched, has_tokenizer, held

OTHER = "f" * 40
FILES = {
    "README.md": b"a model",
    "config.json": b"{}",
    "tokenizer_config.json": b"{}",
    "vocab.json": b"{}",
    "merges.txt": b"",
    "model-00001-of-00002.safetensors": b"one",
    "model-00002-of-00002.safetensors": b"two",
    "model.safetensors.index.json": b"{}",
    "pytorch_model.bin": b"pickle",
    "original/model.safetensors": b"another",
    "modeling_mine.py": b"raise SystemExit",
}
PICKLES = {name: data for name, data in FILES.items() if "safetensors" not in name}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, and a client that knows no other hub and has an empty cache."""
    with Hub("lab/model", FILES) as server:
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


READ = {name for name in FILES if "/" not in name} - {
    *("README.md", "pytorch_model.bin", "modeling_mine.py")
}


def test_what_is_read_is_fetched_and_no_code_and_no_pickle(hub: Hub) -> None:
    found = fetched("lab/model", None, "safetensors")
    assert found.commit == COMMIT
    assert names(found.folder) == READ
    assert (found.folder / "model-00002-of-00002.safetensors").read_bytes() == b"two"
    assert has_tokenizer(found.folder)


def test_a_branch_is_the_commit_that_it_is_now(hub: Hub) -> None:
    other = {**FILES, "model-00002-of-00002.safetensors": b"later"}
    hub.revisions = {"step2": (OTHER, other)}
    found = fetched("lab/model", "step2", "safetensors")
    assert found.commit == OTHER
    assert (found.folder / "model-00002-of-00002.safetensors").read_bytes() == b"later"
    hub.revisions["step2"] = (COMMIT, FILES)
    hub.revisions["kept"] = (OTHER, other)
    assert fetched("lab/model", OTHER, "safetensors").folder == found.folder


def test_without_a_network_a_commit_in_the_cache_will_do(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fetched("lab/model", None, "safetensors")
    asked = len(hub.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetched("lab/model", COMMIT, "safetensors") == found
    assert "cannot be read" in told(hub, revision=OTHER)
    assert len(hub.requests) == asked


def test_what_need_not_be_kept_leaves_the_cache_alone(hub: Hub, tmp_path: Path) -> None:
    found = fetched("lab/model", None, "safetensors", tmp_path / "once")
    assert found.folder == tmp_path / "once"
    assert names(found.folder) >= READ
    assert not (tmp_path / "cache" / "models--lab--model").exists()


def told(hub: Hub, name: str = "lab/model", revision: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        fetched(name, revision, "safetensors")
    text = str(caught.value)
    assert name in text
    return text


def test_what_the_hub_does_not_give_is_one_clear_line(hub: Hub) -> None:
    assert "no such repository, or it is private" in told(hub, "lab/nothing")
    assert "has no such revision" in told(hub, revision="step9")
    hub.moved = "lab/renamed"
    assert "is called lab/renamed now" in told(hub)
    hub.moved = "lab/model"
    hub.files = PICKLES
    text = told(hub)
    assert "has no safetensors, only pytorch_model.bin: a pickle" in text
    assert "weights: bin reads it by torch.load(weights_only=True)" in text
    hub.files = {"config.json": b"{}"}
    assert "has no weights" in told(hub)
    hub.files = {"model.safetensors": b""}
    assert "has no config.json" in told(hub)
    hub.gated = True
    assert "is gated: its terms must be accepted" in told(hub)


def test_a_file_that_is_not_the_hubs_is_refused(hub: Hub) -> None:
    hub.fault = lambda method, name, start: "alter" if "00002-of" in name else None
    hub.revisions = {"main": (OTHER, FILES)}
    assert "model-00002-of-00002.safetensors is damaged" in told(hub)


def test_a_folder_is_held_to_the_same(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        held(str(tmp_path / "none"), "safetensors")
    for name, data in PICKLES.items():
        if "/" not in name:
            (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match="a pickle, which may run code"):
        held(str(tmp_path), "safetensors")
    assert held(str(tmp_path), "bin").folder == tmp_path
    assert held(str(tmp_path), None).commit is None
