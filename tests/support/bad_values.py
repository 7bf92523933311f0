"""Every key of a kind of study with values that it was not made for."""

from __future__ import annotations

import copy
import typing
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

VALUES: dict[str, Any] = {
    "nothing": None,
    "wrong type": [{"a": 1}],
    "empty": "",
    "empty list": [],
    "empty mapping": {},
    "negative": -1,
    "zero": 0,
    "huge": 10**30,
    "many": 10**9,
    "not a number": float("nan"),
    "infinite": float("inf"),
    "doubled": [0, 0],
    "unknown name": "nobody-knows-this",
    "path": "../../etc/passwd",
    "control": "a\x00b\x1b[2J",
    "truth": True,
    "long": "n" * 300,
}
# Values that a key may well have, by the last word of the key: told so here, or refused.
_TOLD = """
control:
    at columns example files flops format foundry launcher metric metrics parameters proxy recipe
    reference scale seed split_by step task tokens
doubled:
    betas
empty:
    at columns example files flops format foundry launcher metric metrics parameters proxy recipe
    reference scale seed split_by step table task tokens
empty list:
    by checkpoints files ignore plugins rivals shares subsets
empty mapping:
    a attribution available b caps columns config direction execution extra figures fixed floors
    groups model options propose report scales selection style table training
long:
    at columns example files flops format foundry launcher metric metrics parameters proxy recipe
    reference scale seed split_by step task tokens
many:
    base_channels base_width batch batch_tokens candidates channels checkpoint_minutes classes clip
    dimension documents epochs eps examples few_shot flops gpus hidden_learning_rate images
    initial_learning_rate learning_rate learning_rate_factor limit max_bytes max_document_bytes
    micro_batch_tokens mlp_ratio overlap_window pack pad parameters passes projection resamples
    ridge sample_bytes seed size stack target target_examples tests tokens tokens_per_parameter
    weight_decay width
nothing:
    architecture at augment base_width batch batch_tokens betas bias candidate_sources candidates
    checkpoint_minutes checkpoints clip columns compare compile config context count data_dir
    data_files datamodels decay direction documents draws encoding engine epochs eps example
    examples file final_learning_rate flops forecast format foundry gpus header heads
    hidden_learning_rate holdout hub images initial_learning_rate initialization large launcher
    layers learning_rate learning_rate_factor limit max_bytes max_document_bytes metric metrics
    micro_batch_tokens mlp_ratio momentum nodes noise only_scales options parameters parametrization
    pattern precision projection proxy proxy_selection recipe records repeats revision scale scales
    scored_on seed seeds sharded size sources split split_by stack step streaming target
    target_examples task tests tied tokens tokens_per_parameter warmup weight_decay weights width
path:
    at columns example files flops format foundry launcher metric metrics parameters proxy recipe
    reference results scale seed split_by step table task tokens
truth:
    balanced bias compile drop_context grid q repeat sharded texts whole_prompts
unknown name:
    at columns example files flops format foundry launcher metric metrics parameters proxy recipe
    reference results scale seed split_by step study task tokens
zero:
    balanced bias compile drop_context few_shot final_learning_rate gpus holdout momentum q repeat
    seed sharded target target_examples texts tied warmup weight_decay whole_prompts
"""
LEGAL = {kind: set(words.split()) for kind, words in yaml.safe_load(_TOLD).items()}
Place = tuple[str, ...]


def places(model: type[BaseModel], raw: Any, at: Place = ()) -> Iterator[Place]:
    """Every key that a section may have, in sections that the config has."""
    for name, field in model.model_fields.items():
        yield (*at, name)
        nested = model.__name__ == "Records"  # records within records
        inner = None if nested else _section(field.annotation)
        here = raw.get(name) if isinstance(raw, dict) else None
        if inner is None:
            continue
        kind, mapped = inner
        if not mapped:
            yield from places(kind, here or {}, (*at, name))
        else:
            for key in here or {}:
                yield (*at, name, key)
                yield from places(kind, here[key], (*at, name, key))


def _section(annotation: Any, mapped: bool = False) -> tuple[type[BaseModel], bool] | None:
    """The section that a key holds, or a mapping of names to."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, mapped
    inside = typing.get_args(annotation)
    if typing.get_origin(annotation) is dict:
        return _section(inside[1], True)
    for part in inside:
        found = _section(part, mapped)
        if found:
            return found
    return None


def spoiled(raw: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """The config with a value at a place."""
    config = copy.deepcopy(raw)
    section = config
    for key in place[:-1]:
        if not isinstance(section.get(key), dict):
            section[key] = {}
        section = section[key]
    section[place[-1]] = copy.deepcopy(value)
    return config
