"""What the hub has under the names that the paper's studies read: small, and invented.

Folders, columns and configurations are as there; texts are words that nobody wrote.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
import zstandard
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from support.hub_server import Hub

Files = dict[str, bytes]
Row = Mapping[str, Any]
COLORS = 10  # classes of the images: each has a colour of its own


class Words:
    """Texts of a vocabulary of one's own, each word followed by some more often than by others."""

    def __init__(self, seed: int, count: int = 300) -> None:
        self.rng = np.random.default_rng(seed)
        letters = self.rng.permutation(list("abcdefghijklmnopqrstuvwxyz"))[:12]
        self.words = ["".join(self.rng.choice(letters, 5)) for _ in range(count)]
        self.next = self.rng.integers(0, count, (count, 4))

    def text(self, count: int) -> str:
        """So many words."""
        found = [int(self.rng.integers(len(self.words)))]
        for _ in range(count - 1):
            far = self.rng.random() < 0.2
            found.append(int(self.rng.integers(len(self.words)) if far else self.step(found[-1])))
        return " ".join(self.words[word] for word in found)

    def step(self, word: int) -> int:
        """One of the words that often follow."""
        return int(self.next[word, self.rng.integers(4)])


def parquet(rows: Iterable[Row]) -> bytes:
    """A parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(map(dict, rows))), buffer)
    return buffer.getvalue()


def lines(rows: Iterable[Row]) -> bytes:
    """A record of JSON a line."""
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def card(*configs: tuple[str, Mapping[str, str]]) -> bytes:
    """A README that tells a dataset's configurations: their splits' files."""
    told = [
        {
            "config_name": name,
            "data_files": [{"split": split, "path": path} for split, path in paths.items()],
        }
        for name, paths in configs
    ]
    return f"---\n{yaml.safe_dump({'configs': told})}---\n".encode()


def texts(seed: int, documents: int, words: int = 120) -> list[dict[str, str]]:
    """Documents of a vocabulary of their own."""
    own = Words(seed)
    return [{"text": own.text(words)} for _ in range(documents)]


def c4() -> Files:
    folder = "en/c4-{}.json.gz"
    return {
        "README.md": card(
            (
                "en",
                {"train": folder.format("train.*"), "validation": folder.format("validation.*")},
            ),
            ("realnewslike", {"train": "realnewslike/*.json.gz"}),
        ),
        "realnewslike/c4-train.00000-of-00001.json.gz": gzip.compress(lines(texts(0, 2))),
        folder.format("train.00000-of-00002"): gzip.compress(lines(texts(1, 400))),
        folder.format("train.00001-of-00002"): gzip.compress(lines(texts(2, 400))),
        folder.format("validation.00000-of-00001"): gzip.compress(lines(texts(3, 40, 30))),
    }


def wikipedia() -> Files:
    seeds = {"20231101.ab": 18, "20231101.en": 4}
    named = [(name, {"train": f"{name}/train-*"}) for name in seeds]
    files = {
        f"{name}/train-00000-of-00001.parquet": parquet(texts(seed, 200))
        for name, seed in seeds.items()
    }
    return {"README.md": card(*named), **files}


def common_pile(seed: int) -> Callable[[], Files]:
    """One of the Common Pile's datasets."""

    def files() -> Files:
        name = "documents/part-0000.jsonl.gz"
        return {
            "README.md": card(("default", {"train": "documents/*.jsonl.gz"})),
            name: gzip.compress(lines(texts(seed, 200))),
        }

    return files


def stack() -> Files:
    rows = [{"content": row["text"], "lang": "Markdown"} for row in texts(8, 200)]
    other = [{"content": "print(1)", "lang": "Python"}]
    return {
        "data/markdown/train-00000-of-00001.parquet": parquet(rows),
        "data/python/train-00000-of-00001.parquet": parquet(other),
    }


def pile() -> Files:
    def packed(seed: int) -> bytes:
        return zstandard.compress(lines(texts(seed, 40, 30)))

    names = {"train/00.jsonl.zst": 9, "val.jsonl.zst": 10, "test.jsonl.zst": 11}
    return {name: packed(seed) for name, seed in names.items()}


def squad() -> Files:
    own = Words(12)

    def row() -> dict[str, Any]:
        context = own.text(12)
        start = context.index(" ") + 1
        answers = {"text": [context[start : start + 5]], "answer_start": [start]}
        return {
            "title": own.text(1),
            "context": context,
            "question": own.text(4),
            "answers": answers,
        }

    name = "plain_text/{}-00000-of-00001.parquet"
    splits = ("train", "validation")
    return {
        "README.md": card(("plain_text", {split: f"plain_text/{split}-*" for split in splits})),
        **{name.format(split): parquet(row() for _ in range(40)) for split in splits},
    }


def lambada() -> Files:
    names = {"default": "data/lambada_test_en.jsonl", "de": "data/lambada_test_de.jsonl"}
    return {
        "README.md": card(*((name, {"test": path}) for name, path in names.items())),
        names["default"]: lines(texts(13, 40, 12)),
        names["de"]: lines(texts(14, 40, 12)),
    }


def hellaswag() -> Files:
    own = Words(15)
    rows = [
        {
            **{"activity_label": own.text(1), "ctx_a": own.text(6), "ctx_b": own.text(2)},
            **{"endings": [own.text(4) for _ in range(4)], "label": str(number % 4)},
        }
        for number in range(40)
    ]
    return {"data/validation-00000-of-00001.parquet": parquet(rows)}


def super_glue() -> Files:
    own = Words(16)
    rows = [
        {
            **{"premise": f"{own.text(5)}.", "choice1": own.text(4), "choice2": own.text(4)},
            **{"question": ("cause", "effect")[number % 2], "label": number // 2 % 2},
        }
        for number in range(40)
    ]
    named = [(name, {"validation": f"{name}/validation-*"}) for name in ("boolq", "copa")]
    name = "{}/validation-00000-of-00001.parquet"
    other = [{"question": own.text(4), "passage": own.text(9), "label": 0}]
    files = {"boolq": parquet(other), "copa": parquet(rows)}
    return {"README.md": card(*named), **{name.format(key): files[key] for key in files}}


def trivia() -> Files:
    own = Words(17)
    rows = [
        {"question": own.text(6), "answer": {"value": own.text(1), "aliases": [own.text(1)]}}
        for _ in range(40)
    ]
    names = ("rc", "rc.nocontext")
    named = [(name, {"validation": f"{name}/validation-*"}) for name in names]
    files = {f"{name}/validation-00000-of-00001.parquet": parquet(rows) for name in names}
    return {"README.md": card(*named), **files}


def tokenizer() -> Files:
    """Byte-level BPE with the end of text for its first token, as GPT-NeoX's."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=480,
        special_tokens=["<|endoftext|>", "<|padding|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    sample = [row["text"] for seed in range(1, 18) for row in texts(seed, 20)]
    made.train_from_iterator(sample, trainer)
    return {"tokenizer.json": made.to_str().encode()}


def images(seed: int, count: int, columns: tuple[str, ...], side: int) -> bytes:
    """Labelled pictures as the hub keeps them, the colour of each its class's, in noise."""
    import datasets  # it takes a second

    rng = np.random.default_rng(seed)
    palette = np.random.default_rng(0).integers(0, 256, (COLORS, 3))
    rows: list[dict[str, Any]] = []
    for number in range(count):
        label = number % COLORS
        pixels = palette[label] + rng.normal(0, 60, (side, side, 3))
        buffer = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "png")
        image = {"bytes": buffer.getvalue(), "path": None}
        rows.append({columns[0]: image, **dict.fromkeys(columns[1:], label)})
    kinds = {columns[0]: datasets.Image()}
    kinds |= dict.fromkeys(columns[1:], datasets.ClassLabel(num_classes=COLORS))
    buffer = io.BytesIO()
    datasets.Dataset.from_list(rows, features=datasets.Features(kinds)).to_parquet(buffer)
    return buffer.getvalue()


def pictures(folder: str, splits: Mapping[str, int], columns: tuple[str, ...], side: int) -> Files:
    """A dataset of images with these splits."""
    name = f"{folder}/{{}}-00000-of-00001.parquet"
    return {
        name.format(split): images(number, count, columns, side)
        for number, (split, count) in enumerate(splits.items())
    }


SPLITS = {"train": 130, "test": 50}
DATA: Mapping[str, Callable[[], Files]] = {
    "allenai/c4": c4,
    "wikimedia/wikipedia": wikipedia,
    "common-pile/arxiv_papers_filtered": common_pile(5),
    "common-pile/project_gutenberg_filtered": common_pile(6),
    "common-pile/peS2o_filtered": common_pile(7),
    "bigcode/the-stack-dedup": stack,
    "monology/pile-uncopyrighted": pile,
    "rajpurkar/squad": squad,
    "EleutherAI/lambada_openai": lambada,
    "Rowan/hellaswag": hellaswag,
    "aps/super_glue": super_glue,
    "mandarjoshi/trivia_qa": trivia,
    "EleutherAI/gpt-neox-20b": tokenizer,
    "uoft-cs/cifar10": lambda: pictures("plain_text", SPLITS, ("img", "label"), 32),
    "uoft-cs/cifar100": lambda: pictures(
        "cifar100", SPLITS, ("img", "fine_label", "coarse_label"), 32
    ),
    "ILSVRC/imagenet-1k": lambda: pictures(
        "data", {"train": 130, "validation": 50}, ("image", "label"), 40
    ),
}


def pins(value: Any) -> list[tuple[str, str]]:
    """Every (repository, revision) of a config."""
    if not isinstance(value, dict):
        return []
    own = [(value["hub"], value["revision"])] if "hub" in value else []
    return own + [pin for inner in value.values() for pin in pins(inner)]


def hub(study: Mapping[str, Any]) -> Hub:
    """A stand-in of the hub with all that a study reads, at the commits that it names."""
    hubs = [Hub(name, DATA[name](), commit) for name, commit in dict(pins(study)).items()]
    return Hub("nobody/nothing", {}, others=hubs)
