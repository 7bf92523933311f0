"""The schemas of tables, by the kind of artifact."""

from __future__ import annotations

import pyarrow as pa

_LOSS = [
    ("example", pa.uint32()),
    ("loss", pa.float32()),  # nats per scored token
    ("tokens", pa.uint32()),  # scored tokens
    ("correct", pa.float32()),  # 1/k in a tie of k choices; null where no answer is correct
    ("margin", pa.float32()),  # mean log(p / (1 - p)) over the scored tokens; images: of the class
    ("probability", pa.float32()),  # of the whole right answer, among the choices if there are any
    ("lead", pa.float32()),  # nats per token of the best wrong choice, less those of the right one
]
_RUN = [
    ("scale", pa.string()),
    ("distribution", pa.string()),
    ("draw", pa.uint16()),
    ("seed", pa.uint32()),
]

SCHEMAS: dict[str, pa.Schema] = {
    "documents": pa.schema(
        [
            ("document", pa.uint32()),
            ("name", pa.string()),
            ("text", pa.string()),
            ("hash", pa.uint64()),
            ("split", pa.string()),  # pool, target or holdout
        ]
    ),
    "index": pa.schema(
        [
            ("example", pa.uint32()),
            ("source", pa.string()),
            ("document", pa.uint32()),
            ("hash", pa.uint64()),
        ]
    ),
    "task": pa.schema(
        [
            ("example", pa.uint32()),
            ("choice", pa.uint8()),
            ("gold", pa.bool_()),
            ("tokens", pa.list_(pa.uint32())),
            ("scored_from", pa.uint32()),  # tokens[scored_from:] are scored, given all before them
            ("prompt", pa.string()),
            ("prompt_starts", pa.list_(pa.uint32())),  # where in it its tokens begin, if known
            ("continuation", pa.string()),
            ("bytes", pa.uint32()),  # of the scored text, without the space before it
            ("characters", pa.uint32()),
        ]
    ),
    "items": pa.schema(
        [
            ("key", pa.binary()),  # orders examples, and tells equal ones
            ("record", pa.string()),  # where its record stands
            ("tokens", pa.uint32()),  # of all its choices
            ("unknown", pa.uint32()),  # of these, for text that the tokenizer does not know
            ("cut", pa.bool_()),  # the prompt lost its beginning
            ("lost", pa.bool_()),  # and with it every answer that stood in it
            ("joined", pa.bool_()),  # a token holds the end of the prompt and of a choice the start
            # hashes of words
            ("question", pa.list_(pa.uint32())),
            ("answer", pa.list_(pa.uint32())),
            ("context", pa.list_(pa.uint32())),
        ]
    ),
    "distribution": pa.schema(
        [("draw", pa.uint16()), ("example", pa.uint32()), ("score", pa.float32())]
    ),
    "curve": pa.schema(
        [
            ("step", pa.uint32()),
            ("tokens", pa.uint64()),
            ("loss", pa.float32()),
            ("lr", pa.float32()),
            ("seconds", pa.float32()),
        ]
    ),
    "run_losses": pa.schema(_LOSS),
    "score": pa.schema([("example", pa.uint32()), ("score", pa.float32())]),
    "candidate_losses": pa.schema([("example", pa.uint32()), ("loss", pa.float32())]),
    "agreement": pa.schema(
        [
            ("task", pa.string()),
            ("first", pa.string()),  # a scale
            ("first_model", pa.uint16()),
            ("second", pa.string()),
            ("second_model", pa.uint16()),
            ("spearman", pa.float64()),
            ("n", pa.uint32()),  # candidates
        ]
    ),
    "influence": pa.schema(
        [
            ("task", pa.string()),
            ("example", pa.uint32()),  # of the task's target
            ("prompt", pa.string()),
            ("prompt_starts", pa.list_(pa.uint32())),
            ("scored_from", pa.uint32()),
            ("continuation", pa.string()),
            ("scale", pa.string()),
            ("side", pa.string()),  # helpful or harmful
            ("rank", pa.uint16()),
            ("candidate", pa.uint32()),
            ("source", pa.string()),
            ("score", pa.float32()),  # in standard deviations over the candidates
            ("text", pa.string()),
        ]
    ),
    # in double, so that values that others measured stay as they are
    "losses": pa.schema(
        [
            *_RUN,
            ("task", pa.string()),
            _LOSS[0],
            ("loss", pa.float64()),
            *_LOSS[2:],
            # lower (as where it is null), higher (the loss is the value negated) or unknown
            ("better", pa.string()),
        ]
    ),
    "runs": pa.schema(
        [
            *_RUN,
            # grid, compared: without holes; outside, compared where there is a partner; or another
            ("role", pa.string()),
            ("parameters", pa.uint64()),
            ("tokens", pa.uint64()),
            ("epochs", pa.float32()),
            ("flops", pa.float64()),  # 6·P·D
            ("seconds", pa.float32()),
            ("final_loss", pa.float32()),
            ("device", pa.string()),  # what trained it, and in which precision; null from outside
            ("precision", pa.string()),
            ("versions", pa.string()),
        ]
    ),
    "statistics": pa.schema(
        [
            ("statistic", pa.string()),
            ("level", pa.string()),  # distribution or example
            ("group", pa.string()),
            ("task", pa.string()),
            ("example", pa.uint32()),  # null at level distribution
            ("proxy", pa.string()),
            ("reference", pa.string()),
            ("value", pa.float64()),
            ("low", pa.float64()),
            ("high", pa.float64()),
            ("ceiling", pa.float64()),
            ("n", pa.uint32()),
            ("compute_ratio", pa.float64()),  # reference / proxy, at least 1
            ("size_ratio", pa.float64()),  # the same of parameters
            ("named", pa.string()),  # the distribution that a row is about, as a pick
            ("unit", pa.string()),  # of what is no share
            ("version", pa.string()),
        ]
    ),
}

# what runs lost before their end: the step as it was told, or of runs trained here the share of all
SCHEMAS["checkpoints"] = SCHEMAS["losses"].append(pa.field("step", pa.float64()))
