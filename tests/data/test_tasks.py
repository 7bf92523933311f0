"""Test sets: kinds, tokenization, splits, overlap, counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.made_tasks import build_test_set
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.packing import END
from proxyscale.data.pool import assemble, pack
from proxyscale.data.task_encoding import Coder
from proxyscale.data.task_items import Item, seeded_hash
from proxyscale.data.tokens import load_tokenizer

LENGTH = 64
WORDS = "able bird coal dune echo fern gold hill iris jade kelp lime moss nest opal pine".split()  # noqa: SIM905


def prose(seed: int, words: int = 400) -> str:
    rng = np.random.default_rng(seed)
    return " ".join(rng.choice(WORDS, words)) + f" number {seed}."


def write_corpus(folder: Path, texts: dict[str, list[str]]) -> Path:
    """A corpus of documents by split."""
    rows = [(split, text) for split, own in texts.items() for text in own]
    table = pa.table(
        {
            "document": range(len(rows)),
            "name": [f"document-{number}" for number in range(len(rows))],
            "text": [text for _, text in rows],
            "hash": pa.array(range(len(rows)), pa.uint64()),
            "split": [split for split, _ in rows],
        }
    )
    artifacts.write(folder / "documents.parquet", table, "documents")
    artifacts.write_manifest(folder / "manifest.json", [folder / "documents.parquet"])
    return folder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bytes as tokens: what is scored can be read off."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {END: 0, **{letter: place for place, letter in enumerate(alphabet, 1)}}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.add_special_tokens([END])
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    artifacts.write_json(path, json.loads(made.to_str()))
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tokenizer: Path) -> dict[str, Any]:
    """A corpus, its pool and its tokenizer, as `build_test_set` takes them."""
    root = tmp_path_factory.mktemp("world")
    splits = {"pool": range(8), "target": range(20, 24), "holdout": range(40, 44)}
    texts = {split: [prose(seed) for seed in seeds] for split, seeds in splits.items()}
    corpus = write_corpus(root / "corpus", texts)
    spec = {"source": "words", "length": LENGTH, "seed": 0}
    pack(root / "pack", corpus, tokenizer, spec)
    assemble(root / "pool" / "manifest.json", {"words": root / "pack"})
    manifest = root / "pool" / "manifest.json"
    return {"corpora": {"words": corpus}, "tokenizer": tokenizer, "pool": manifest}


def make(out: Path, world: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Build a task; its manifest and both splits as lists of rows."""
    spec = {
        "kind": "text",
        "options": {},
        "sources": ["words"],
        "records": None,
        "examples": 30,
        "target_examples": 20,
        "split_by": None,
        "target": 0.5,
        "overlap_window": 8,
        "length": LENGTH,
        "seed": 0,
    }
    build_test_set(out, {**spec, **changes}, **world)
    splits = {
        s: artifacts.read(out / f"{s}.parquet", "task").to_pylist() for s in ("holdout", "target")
    }
    return {"manifest": artifacts.read_json(out / "manifest.json"), **splits}


def make_records(out: Path, world: dict[str, Any], records: list[dict[str, Any]], **changes: Any):
    out.mkdir(parents=True, exist_ok=True)
    (out / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    spec = {"sources": [], "records": {"files": str(out / "records.jsonl")}, **changes}
    return make(out, world, **spec)


QUESTIONS = [
    {"question": f"what is {a} {b}", "reply": f"{b}{n}", "about": a}
    for n, (a, b) in enumerate((a, b) for a in WORDS[:6] for b in WORDS[6:])
]
ASKED = {"prompt": "Question: {question}? ", "continuation": "{reply}"}


# --- Tokens


def bytes_of(tokenizer: Path, tokens: list[int]) -> str:
    return load_tokenizer(tokenizer).decode(tokens, skip_special_tokens=False)


@given(
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), min_size=1, max_size=3
    ),
)
@settings(max_examples=60, deadline=None)
def test_scored_tokens_are_the_choices_alone(tokenizer, prompt, choices):
    coder = Coder(load_tokenizer(tokenizer), length=400, seed=0)
    example = coder.encode(Item(f"x{prompt}", tuple(choices)))
    stem = f"x{prompt}".rstrip(" ")
    space = f"x{prompt}"[len(stem) :]
    assert bytes_of(tokenizer, example.context) == END + stem
    places = [place for place, letter in enumerate(stem) for _ in letter.encode()]
    assert all(row.starts.tolist() == places for row in example.rows)
    for choice, tokens in zip(choices, example.continuations, strict=True):
        assert bytes_of(tokenizer, tokens) == space + choice


def test_long_prompts_are_cut_on_the_left_alike_for_all_choices(tokenizer):
    coder = Coder(load_tokenizer(tokenizer), length=16, seed=0)
    example = coder.encode(Item("abcdefghijklmnopqrst", (" yes", " no")))
    assert example.cut
    assert bytes_of(tokenizer, example.context) == "ijklmnopqrst"
    assert example.rows[1].starts.tolist() == list(range(20))  # of the whole prompt
    assert [len(c) for c in example.continuations] == [4, 3]
    fits = coder.encode(Item("k", ("x" * 15,)))
    assert bytes_of(tokenizer, fits.context) == "k"
    assert coder.encode(Item("k", ("x" * 16,))) is None
    assert coder.encode(Item("k", ("a", ""))) is None
    assert list(coder([Item("k", ("\ud800",))])) == []
    assert coder.counts["too_long"] == coder.counts["empty"] == coder.counts["not_unicode"] == 1


def test_texts_are_packed_without_a_gap(tmp_path, world):
    made = make(tmp_path, world, examples=1000, target_examples=0)
    text = "".join(END + prose(seed) for seed in range(40, 44))
    rows = made["holdout"]
    told = load_tokenizer(world["tokenizer"])
    shown = {told.decode(row["tokens"], skip_special_tokens=False) for row in rows}
    # The document end is one token but thirteen characters.
    stream = [0 if t == END else t for t in text.replace(END, "\0")]
    cuts = {
        "".join(stream[i : i + LENGTH]).replace("\0", END) for i in range(0, len(stream), LENGTH)
    }
    left = len(stream) % LENGTH
    assert shown == {cut for cut in cuts if len(cut) >= LENGTH}
    assert made["manifest"]["counts"]["holdout"]["tokens_left_over"] == left
    assert all(len(row["tokens"]) == LENGTH and row["scored_from"] == 1 for row in rows)
    for row in rows:  # a document's end has no length, nor has the token that is given
        scored = told.decode(row["tokens"][1:])
        assert (row["characters"], row["bytes"]) == (len(scored), len(scored.encode()))
    assert made["target"] == []


# --- Splits


def test_documents_keep_their_split(tmp_path, world):
    made = make(tmp_path, world, examples=1000, target_examples=1000)
    held = "".join(prose(seed) for seed in range(40, 44))
    aimed = "".join(prose(seed) for seed in range(20, 24))
    inside = [row for row in made["holdout"] if "<|" not in row["continuation"]]
    assert inside
    assert all(row["continuation"] in held for row in inside)
    inside = [row for row in made["target"] if "<|" not in row["continuation"]]
    assert inside
    assert all(row["continuation"] in aimed for row in inside)


@pytest.mark.parametrize(("target", "expected"), [(0.25, 15), (10, 10), (0, 0)])
def test_records_are_split_by_number_or_share(tmp_path, world, target, expected):
    made = make_records(
        tmp_path, world, QUESTIONS, kind="prompt", options=ASKED, target=target, examples=100
    )
    assert len(made["target"]) == expected
    counts = made["manifest"]["counts"]["holdout"]
    assert counts["kept"] == len(made["holdout"]) == len(QUESTIONS) - expected
    assert not {r["prompt"] for r in made["target"]} & {r["prompt"] for r in made["holdout"]}


def test_groups_do_not_straddle_the_splits(tmp_path, world):
    made = make_records(
        tmp_path, world, QUESTIONS, kind="prompt", options=ASKED, split_by="about", target=15
    )
    groups = [{r["prompt"].split()[3] for r in made[split]} for split in ("target", "holdout")]
    assert len(groups[0]) == 2
    assert not groups[0] & groups[1]
    with pytest.raises(UserError, match=r"record.*'abuot'"):
        make_records(tmp_path, world, QUESTIONS, kind="prompt", options=ASKED, split_by="abuot")


def test_each_split_may_have_its_own_records(tmp_path, world):
    for name, rows in (("a", QUESTIONS[:10]), ("b", QUESTIONS[5:20])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    records = {"holdout": {"files": str(tmp_path / "a.jsonl")}}
    records["target"] = {"files": str(tmp_path / "b.jsonl")}
    made = make(tmp_path, world, kind="prompt", options=ASKED, sources=[], records=records)
    assert len(made["holdout"]) == 10
    assert len(made["target"]) == 10
    assert made["manifest"]["counts"]["target"]["duplicates"] == 5


def test_a_seed_decides_which_examples(tmp_path, world):
    first, again, other = (
        make(tmp_path / str(n), world, seed=seed)["holdout"] for n, seed in enumerate((0, 0, 1))
    )
    assert first == again
    assert first != other
    assert [row["example"] for row in first] == list(range(30))


# --- Overlap


def test_a_planted_copy_is_dropped_and_counted(tmp_path, world, tokenizer):
    copied = " ".join(prose(0).split()[100:120])
    fresh = "zebra yonder xylem walnut velvet urchin tundra"
    records = [{"t": f"{copied} {n}x", "c": "end"} for n in range(3)] + [
        {"t": f"{fresh} {copied[:24]}{n}", "c": "end"} for n in range(3)
    ]
    options = {"prompt": "{t}", "continuation": " {c}"}
    made = make_records(tmp_path, world, records, kind="prompt", options=options, target=0)
    counts = made["manifest"]["counts"]["holdout"]
    assert counts["in_pool"] == 3
    assert sorted(row["prompt"] for row in made["holdout"]) == [
        f"{fresh} {copied[:24]}{n}" for n in range(3)
    ]


def test_a_target_near_to_the_holdout_is_dropped(tmp_path, world):
    shared = "zebra yonder xylem walnut velvet urchin tundra " * 3
    records = [{"t": f"{shared} {n}", "c": "end"} for n in range(12)]
    options = {"prompt": "{t}", "continuation": " {c}"}
    with pytest.raises(UserError, match=r"no target example is left .*in_holdout 6"):
        make_records(tmp_path, world, records, kind="prompt", options=options)


# --- Few-shot examples


def test_shots_come_from_the_target_and_are_never_the_scored_one(tmp_path, world):
    made = make_records(
        tmp_path, world, QUESTIONS, kind="prompt", options=ASKED, few_shot=2, length=200, target=20
    )
    told = load_tokenizer(world["tokenizer"])
    replies = {f"Question: {r['question']}? ": r["reply"] for r in QUESTIONS}
    allowed = {row["prompt"] for row in made["target"]}
    for row in made["holdout"] + made["target"]:
        context = told.decode(row["tokens"][1 : row["scored_from"]])
        *shots, asked = context.split("\n")
        assert asked == row["prompt"].rstrip()
        assert row["prompt_starts"] == list(range(len(asked)))  # those of the shots are not told
        assert len(set(shots)) == 2
        for shot in shots:
            prompt = next(p for p in replies if shot.startswith(p))
            assert shot == prompt + replies[prompt]
            assert prompt in allowed - {row["prompt"]}


def test_shots_need_a_target_and_prompts(tmp_path, world):
    with pytest.raises(UserError, match="few_shot takes its examples from the target"):
        make_records(tmp_path, world, QUESTIONS, kind="prompt", options=ASKED, few_shot=2, target=0)
    with pytest.raises(UserError, match="whole texts"):
        make(tmp_path, world, few_shot=1)


# --- Counts and errors


def test_the_manifest_vouches_for_both_files(tmp_path, world):
    made = make(tmp_path, world)
    for name, digest in made["manifest"]["files"].items():
        assert artifacts.sha256(tmp_path / name) == digest
    assert set(made["manifest"]["files"]) == {"holdout.parquet", "target.parquet"}
    assert made["manifest"]["counts"]["holdout"]["kept"] == 30


def test_one_choice_of_each_example_is_gold(tmp_path, world):
    records = [
        {"query": f"is {w} {n}", "choices": [w, "x", "yz"], "gold": n % 3}
        for n, w in enumerate(WORDS)
    ]
    made = make_records(tmp_path, world, records, kind="icl", target=0)
    assert len(made["holdout"]) == 3 * len(WORDS)
    for row in made["holdout"]:
        number = int(row["prompt"].split()[2])
        assert row["gold"] == (row["choice"] == number % 3)
        assert row["continuation"] == records[number]["choices"][row["choice"]]


def test_too_few_examples_are_counted_and_none_is_a_mistake(tmp_path, world):
    made = make_records(
        tmp_path, world, QUESTIONS[:4], kind="prompt", options=ASKED, target=0, examples=9
    )
    counts = made["manifest"]["counts"]["holdout"]
    assert (counts["asked_for"], counts["kept"]) == (9, 4)
    options = {"prompt": "{question}", "continuation": "x" * 99}
    with pytest.raises(UserError, match=r"no holdout example is left .*too_long 60"):
        make_records(tmp_path, world, QUESTIONS, kind="prompt", options=options, target=0)


def test_unknown_words_are_mistakes(tmp_path, world):
    with pytest.raises(UserError, match="did you mean 'squad'"):
        make(tmp_path, world, kind="sqad")
    with pytest.raises(UserError, match="did you mean 'words'"):
        make(tmp_path, world, sources=["word"])


def test_duplicates_within_a_split_are_dropped(tmp_path, world):
    made = make_records(tmp_path, world, QUESTIONS[:6] * 3, kind="prompt", options=ASKED, target=0)
    assert len(made["holdout"]) == 6
    assert made["manifest"]["counts"]["holdout"]["duplicates"] == 12


def test_order_is_seeded_and_tells_items_apart():
    assert seeded_hash(0, Item("a", ("b",))) != seeded_hash(0, Item("a", ("b",), 1))
    assert seeded_hash(0, "a") != seeded_hash(1, "a")
