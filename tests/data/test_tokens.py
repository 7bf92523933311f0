"""Tokens are those of running text, with tokenizers of every family."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tokenizers_by_family import FAMILIES
from tokenizers import Tokenizer, models, pre_tokenizers

from proxyscale.base.errors import UserError
from proxyscale.data import tokens as module
from proxyscale.data.packing import END
from proxyscale.data.task_encoding import Coder
from proxyscale.data.task_items import Item
from proxyscale.data.tokenizer import build_tokenizer
from proxyscale.data.tokens import load_tokenizer, pieces, tokens, unknown_id, vocabulary_size

WORDS = ["river", "city", "Oslo", "über", "北京", "x=1", "\n", "  ", "aaaaaaaa", "won.", "\t", "é"]


@functools.cache
def family(name: str) -> Tokenizer:
    made = FAMILIES[name]()
    made.add_special_tokens([END])
    made.encode_special_tokens = True
    return made


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=25, deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), min_size=30, max_size=300))
def test_a_long_text_has_the_tokens_of_the_whole(name: str, words: list[str]) -> None:
    text = " ".join(words)
    whole = family(name).encode(text, add_special_tokens=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 200)
        patch.setattr(module, "OVERLAP", 120)
        found = list(pieces(family(name), text))
    assert [token for piece in found for token in piece.ids] == whole.ids
    spans = [span for piece in found for span in zip(piece.starts, piece.ends, strict=True)]
    assert spans == whole.offsets


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_without_a_place_to_cut_is_tokenized_at_once(name: str) -> None:
    text = "The river " + "a" * 3000 + " runs near " + "北" * 3000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 200)
        patch.setattr(module, "OVERLAP", 64)
        assert tokens(family(name), text).ids == family(name).encode(text).ids


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=40, deadline=None)
@given(
    prompt=st.lists(st.sampled_from(WORDS), min_size=1, max_size=8),
    answer=st.sampled_from(["Oslo", "the city", "北京", "über alles", "won."]),
    space=st.sampled_from([" ", "\n", "", "\n "]),
)
def test_an_answer_has_the_tokens_of_running_text(
    name: str, prompt: list[str], answer: str, space: str
) -> None:
    before = " ".join(["The", *prompt, "end"]) + space
    coder = Coder(family(name), length=400, seed=0)
    example = coder.encode(Item(before, (answer,)))
    whole = family(name).encode(before + answer, add_special_tokens=False)
    if example is None:
        assert coder.counts["unknown_answer"] == 1
        assert unknown_id(family(name)) in whole.ids
        return
    assert example.context[1:] + example.continuations[0] == whole.ids
    begins = len(before.rstrip(" "))
    scored = [t for t, (_, end) in zip(whole.ids, whole.offsets, strict=True) if end > begins]
    assert example.continuations[0] == scored
    lone = family(name).token_to_id("▁")
    if space == " " and answer == "Oslo" and lone is not None:
        assert scored[0] != lone or whole.tokens[-len(scored)] == "▁"


# --- The vocabulary


def hole(words: dict[str, int], added: list[int]) -> str:
    """A word-level tokenizer.json with these ids."""
    made = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    told = json.loads(made.to_str())
    told["model"]["vocab"] = {"<unk>": 0, **words}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    told["added_tokens"] = [
        {"id": i, "content": f"<|a{i}|>", "special": True, **flags} for i in added
    ]
    return json.dumps(told)


@settings(max_examples=40, deadline=None)
@given(
    ids=st.lists(st.integers(1, 40), min_size=1, max_size=20, unique=True),
    split=st.integers(0, 20),
    pad=st.booleans(),
)
def test_new_tokens_lie_above_all_others(
    tmp_path_factory: pytest.TempPathFactory, ids: list[int], split: int, pad: bool
) -> None:
    folder = tmp_path_factory.mktemp("holes")
    words = {f"w{i}": i for i in ids[split:]}
    text = hole(words, sorted(ids[:split]))
    (folder / "t.json").write_text(text)
    size = max(ids) + 5
    spec = {"file": str(folder / "t.json"), **({"pad_vocabulary_to": size} if pad else {})}
    build_tokenizer(folder / "made.json", {}, spec)
    made = load_tokenizer(folder / "made.json")
    known = made.get_vocab()
    assert {word: known[word] for word in words} == words
    assert all(known[f"<|a{i}|>"] == i for i in ids[:split])
    assert known[END] == max(ids) + 1
    assert made.get_vocab_size() == max(known.values()) + 1 == (size if pad else max(ids) + 2)
    assert vocabulary_size(json.loads(text)) == max(ids) + 2
    assert len(set(known.values())) == len(known)


def test_a_tokenizer_that_cannot_say_unknown_is_refused(tmp_path: Path) -> None:
    for number, model in enumerate(
        [
            models.WordLevel({"a": 0}, unk_token="<unk>"),
            models.WordPiece({"a": 0}, unk_token="[UNK]"),
            models.BPE({"a": 0}, []),
            models.Unigram([("a", -1.0)]),
        ]
    ):
        path = tmp_path / f"{number}.json"
        Tokenizer(model).save(str(path))
        with pytest.raises(UserError, match="no token for text that it does not know"):
            build_tokenizer(tmp_path / "made.json", {}, {"file": str(path)})
