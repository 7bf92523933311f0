"""The hub's own client, talking to a stand-in of the hub: all that a lab's network may do to it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.hub_server import COMMIT, Hub
from tokenizers import Tokenizer, models

from proxyscale.base import artifacts
from proxyscale.data.tokens import load_tokenizer

# The client waits seconds between two attempts, which a test need not.
QUICK = "import sys, time; nap = time.sleep; time.sleep = lambda s: nap(min(s, 0.01)); "
JOB = QUICK + "from proxyscale.cli.main import main; sys.exit(main(sys.argv[1:]))"
# Several jobs, one after the other, in one process: their codes, and their words apart.
JOBS = (
    QUICK
    + """
import json
from proxyscale.cli.main import main
for words in json.loads(sys.argv[1]):
    print(main(words))
    print("\\f", end="", file=sys.stderr)
"""
)
Fault = Callable[[str, str, int], str | None]


def parquet(texts: list[str]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), buffer, compression=None)
    return buffer.getvalue()


TEXTS = [[f"document {i} of part {part}" for i in range(300)] for part in range(2)]
FILES = {
    "README.md": b"---\nlicense: mit\n---\n",
    "data/train-00000-of-00002.parquet": parquet(TEXTS[0]),
    "data/train-00001-of-00002.parquet": parquet(TEXTS[1]),
    "data/validation-00000-of-00001.parquet": parquet(["held out"]),
    "extra/train.jsonl": b"".join(b'{"q": "what is %d", "a": "%d"}\n' % (i, i) for i in range(50)),
}


def run(hub: Hub, folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A job of the workflow, with the stand-in for the hub and an empty cache of its own."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "cache")}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def corpus(server: Hub, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """The job that reads the dataset into a corpus below `folder`."""
    return run(server, folder, JOB, *words(server, folder, **options))


def refusals(server: Hub, folder: Path, *asked: dict[str, Any]) -> list[str]:
    """What such jobs say that end with a mistake of the user's."""
    given = json.dumps([words(server, folder, **options) for options in asked])
    done = run(server, folder, JOBS, given)
    assert done.stdout.split() == ["2"] * len(asked), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.split("\f")[:-1]


def words(server: Hub, folder: Path, **options: Any) -> list[str]:
    """The command line of the job."""
    named = {"hub": server.repository, "revision": COMMIT, **options}
    limits = {"documents": named.pop("documents", None)}
    processes = str(named.pop("processes", 1))
    spec = json.dumps({"kind": "hub", "options": named, **limits})
    out = str(folder / "out")
    return ["corpus", "--source", "a", "--spec", spec, "--processes", processes, "--out", out]


def read(folder: Path) -> list[str]:
    return artifacts.read(folder / "out/documents.parquet", "documents", ["text"])[
        "text"
    ].to_pylist()


def asked(hub: Hub, name: str) -> list[str | None]:
    """Ranges of the requests for a file's content."""
    return [r for method, path, r in hub.requests if method == "GET" and path.endswith(name)]


def once_each(*faults: str) -> Fault:
    """The faults, one after the other, at the first requests for a part of the training data."""
    waiting = list(faults)

    def fault(method: str, name: str, start: int) -> str | None:
        wanted = method == "GET" and "train" in name
        return waiting.pop(0) if wanted and waiting else None

    return fault


@pytest.mark.parametrize("streaming", [True, False])
def test_a_dataset_is_read_at_its_commit(tmp_path: Path, streaming: bool) -> None:
    with Hub("lab/texts", FILES) as hub:
        done = corpus(hub, tmp_path, streaming=streaming, data_dir="data")
    assert done.returncode == 0, done.stderr
    assert read(tmp_path) == TEXTS[0] + TEXTS[1]
    paths = [path for _, path, _ in hub.requests if "/lab/texts/" in path]
    assert all(COMMIT in path for path in paths)
    assert "corpus a · 600 documents" in done.stderr


@pytest.mark.parametrize("streaming", [True, False])
def test_files_of_a_dataset_are_read_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    stub = tmp_path / "stubs/torch.py"  # reading has no use for torch, in no process
    stub.parent.mkdir()
    stub.write_text(
        "import sys\nprint('torch was asked for', file=sys.stderr)\nraise ImportError\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(stub.parent))
    third = parquet([*TEXTS[0][:5], "", "another"])
    files = {**FILES, "data/train-00002-of-00003.parquet": third}
    options = {"data_dir": "data", "streaming": streaming}
    with Hub("lab/texts", files) as hub:
        for processes in (1, 3):
            done = corpus(hub, tmp_path / str(processes), processes=processes, **options)
            assert done.returncode == 0, done.stderr
            assert "torch" not in done.stderr
    assert read(tmp_path / "1") == [*TEXTS[0], *TEXTS[1], "another"]
    table = artifacts.read(tmp_path / "1/out/documents.parquet", "documents")
    assert table["name"].to_pylist() == [f"texts:{n}" for n in [*range(600), 606]]
    for name in ("documents.parquet", "manifest.json"):
        assert len({(tmp_path / n / "out" / name).read_bytes() for n in "13"}) == 1


def test_a_stream_ends_with_the_documents_asked_for(tmp_path: Path) -> None:
    with Hub("lab/texts", FILES) as hub:
        done = corpus(hub, tmp_path, data_dir="data", documents=7)
    assert done.returncode == 0, done.stderr
    assert read(tmp_path) == TEXTS[0][:7]
    assert not asked(hub, "train-00001-of-00002.parquet")


def test_a_stream_survives_a_cut_connection_and_a_hub_that_is_busy(tmp_path: Path) -> None:
    with Hub("lab/texts", FILES) as hub:
        hub.fault = once_each("cut", "refuse", "cut")
        done = corpus(hub, tmp_path, data_dir="data")
    assert done.returncode == 0, done.stderr
    assert read(tmp_path) == TEXTS[0] + TEXTS[1]
    assert len(asked(hub, "train-00000-of-00002.parquet")) >= 4


def test_a_cut_download_goes_on_where_it_ended(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(14 << 20).hex()
    texts = [noise[i : i + (1 << 20)] for i in range(0, len(noise), 1 << 20)]
    with Hub("lab/texts", {"data/train.parquet": parquet(texts)}) as hub:
        hub.fault = once_each("cut")
        done = corpus(hub, tmp_path, streaming=False)
    assert done.returncode == 0, done.stderr
    assert read(tmp_path) == texts
    first, second = asked(hub, "train.parquet")
    assert first is None
    assert second is not None
    assert int(second.removeprefix("bytes=").removesuffix("-")) > 0


def test_a_download_that_broke_off_is_not_begun_anew(tmp_path: Path) -> None:
    with Hub("lab/texts", FILES) as hub:
        hub.fault = lambda method, name, start: "refuse" if "00001-of-00002" in name else None
        failed = corpus(hub, tmp_path, streaming=False, data_dir="data")
        assert failed.returncode == 2
        assert "hub: lab/texts: cannot be read" in failed.stderr
        assert "Traceback" not in failed.stderr
        assert not (tmp_path / "out/documents.parquet").exists()
        hub.fault = lambda method, name, start: None
        assert corpus(hub, tmp_path, streaming=False, data_dir="data").returncode == 0
        assert len(asked(hub, "train-00000-of-00002.parquet")) == 1
    assert read(tmp_path) == TEXTS[0] + TEXTS[1]


def test_a_file_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    with Hub("lab/texts", FILES) as hub:
        good = FILES["data/train-00000-of-00002.parquet"]
        listed = hub.described("data/train-00000-of-00002.parquet")
        bad = good.replace(b"document 7 ", b"document 8 ", 1)
        assert bad != good
        hub.described = lambda path: (  # type: ignore[method-assign]
            listed if "00000-of-00002" in path else Hub.described(hub, path)
        )
        hub.files = {**FILES, "data/train-00000-of-00002.parquet": bad}
        done = corpus(hub, tmp_path, streaming=False, data_dir="data")
    assert done.returncode == 2
    assert "train-00000-of-00002.parquet is damaged: its checksum is not the hub's" in done.stderr
    assert "hint: delete " in done.stderr


def test_what_the_hub_does_not_have(tmp_path: Path) -> None:
    lacking = [
        ({"revision": "f" * 40}, "cannot be read"),
        ({"hub": "lab/nothing"}, "cannot be read"),
        ({"split": "test", "data_dir": "data"}, "test"),
        ({"column": "txet", "data_dir": "data"}, "did you mean 'text'?"),
    ]
    with Hub("lab/texts", FILES) as hub:
        said = refusals(hub, tmp_path, *(options for options, _ in lacking))
    for words, (_, told) in zip(said, lacking, strict=True):
        assert told in words


def test_a_hub_that_is_down_is_a_clear_error(tmp_path: Path) -> None:
    with Hub("lab/texts", FILES) as hub:
        pass
    for said in refusals(hub, tmp_path, {"streaming": True}, {"streaming": False}):
        assert "hub: lab/texts: cannot be read: " in said
        assert "hint: is the hub up" in said


def test_records_of_a_task_and_a_tokenizer_come_from_the_hub(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    files = {**FILES, "tokenizer.json": tokenizer.to_str().encode()}
    with Hub("lab/texts", files) as hub:
        spec = {"hub": "lab/texts", "revision": COMMIT, "limit": 3}
        spec["data_files"] = "extra/train.jsonl"  # which is in no split of the dataset
        script = "import json; from proxyscale.data.corpora import read_records; "
        script += f"print(json.dumps(list(read_records({spec!r}))))"
        done = run(hub, tmp_path, QUICK + script)
        assert done.returncode == 0, done.stderr
        told = [[f"texts:{i}", {"q": f"what is {i}", "a": str(i)}] for i in range(3)]
        assert json.loads(done.stdout) == told
        named = json.dumps({"hub": "lab/texts", "revision": COMMIT, "pad_vocabulary_to": 8})
        out = tmp_path / "tokenizer.json"
        done = run(hub, tmp_path, JOB, "tokenizer", "--spec", named, "--out", str(out))
        assert done.returncode == 0, done.stderr
    assert load_tokenizer(out).get_vocab_size() == 8
