"""Tiny models in the layout of published ones, with tokenizers of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

LETTERS = "the cat sat on a mat and the dog ran to see what it had seen there " * 20
END, BEGIN = "<|endoftext|>", "<s>"
SIZES: dict[str, dict[str, Any]] = {
    "llama": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
    },
    "gpt_neox": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
    },
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "gemma2": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": 16,
        "max_position_embeddings": 64,
    },
    "bert": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
    },
}


def tokenizer(folder: Path, size: int = 320, begin: bool = False, end: bool = False) -> int:
    """Write a byte-level BPE of about `size` entries, that may begin and end texts; its size."""
    own = Tokenizer(models.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    own.decoder = decoders.ByteLevel()
    special = [END, *([BEGIN] if begin else [])]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    own.train_from_iterator([LETTERS], trainer)
    if begin or end:
        single = [*([BEGIN] if begin else []), "$A", *([END] if end else [])]
        known = [(word, own.token_to_id(word)) for word in special]
        own.post_processor = processors.TemplateProcessing(single=single, special_tokens=known)
    folder.mkdir(parents=True, exist_ok=True)
    own.save(str(folder / "tokenizer.json"))
    facts = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END}
    facts |= {"bos_token": BEGIN} if begin else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))
    return own.get_vocab_size()


def model(
    folder: Path, kind: str = "llama", seed: int = 0, vocabulary: int = 320, **changes: Any
) -> Any:
    """Write a model whose weights no symmetry hides; it, in float32."""
    import transformers

    dtype, shard = changes.pop("dtype", torch.float32), changes.pop("shard", "5GB")
    config = transformers.CONFIG_MAPPING[kind](vocab_size=vocabulary, **{**SIZES[kind], **changes})
    torch.manual_seed(seed)
    made = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    made = made.to(dtype)
    made.save_pretrained(folder, max_shard_size=shard)
    return made.float().eval()
