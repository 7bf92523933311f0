"""Small tokenizers of the families that models have, trained on a text."""

from __future__ import annotations

from collections.abc import Callable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SAMPLE = (
    "The river runs near a city where people speak. Oslo is the capital of Norway, über alles; "
    "北京是中国的首都。 x = f(y)\n\nDenver won the game.\tA tab, 3.14 and 1,000 words  here. "
) * 20


def _trained(tokenizer: Tokenizer, trainer: trainers.Trainer) -> Tokenizer:
    tokenizer.train_from_iterator([SAMPLE], trainer)
    return tokenizer


def byte_level() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return _trained(
        made, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )


def metaspace() -> Tokenizer:
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.decoder = decoders.Metaspace()
    return _trained(
        made, trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], show_progress=False)
    )


def prepend() -> Tokenizer:
    """As Llama has it: the whole text is one word, ▁ before it and for every space."""
    made = metaspace()
    made.pre_tokenizer = None
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return made


def unigram() -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.normalizer = normalizers.NFKC()
    return _trained(
        made,
        trainers.UnigramTrainer(
            vocab_size=250, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
        ),
    )


def wordpiece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return _trained(
        made,
        trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]"], show_progress=False),
    )


FAMILIES: dict[str, Callable[[], Tokenizer]] = {
    "byte-level": byte_level,
    "metaspace": metaspace,
    "prepend": prepend,
    "unigram": unigram,
    "wordpiece": wordpiece,
}
