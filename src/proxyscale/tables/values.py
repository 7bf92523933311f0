"""Cells as numbers: what a whole column reads one way is read, what is no number is told."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from proxyscale.base.errors import UserError
from proxyscale.tables.sheet import ABSENT

Array = np.ndarray[Any, Any]
# Words for no number, besides the empty cell.
NOTHING_WORDS = "- – — -- nan inf +inf -inf infinity -infinity na n/a none null #n/a <na>"
NOTHING = frozenset(NOTHING_WORDS.split())
PERCENT = re.compile(r"[-+]?[\d.,]+(?:e[-+]?\d+)?\s?%", re.IGNORECASE)
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
DECIMAL = re.compile(
    r"[-+]?(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+)?(?:,\d+)?(?:e[-+]?\d+)?", re.IGNORECASE
)
SHOWN = 60


class Numbers(NamedTuple):
    """A column's numbers; NaN where there is none. `told`: row → what stands there instead."""

    values: Array
    told: dict[int, str]


def looks_numeric(column: pd.Series[Any]) -> bool:
    """Whether most of a column's cells are numbers, however they are written."""
    if column.dtype != object:
        return True
    written = [c for c in column.iloc[:1000] if c != ABSENT]
    cells = [c for c in written if not _nothing(c)]
    if not cells:  # every run diverged, or a column of blanks
        return any(_word(c).lower().strip("+-") in ("nan", "inf", "infinity") for c in written)
    return 2 * sum(_number_like(cell) for cell in cells) > len(cells)


def _number_like(cell: Any) -> bool:
    if isinstance(cell, str):
        text = _plain(cell)
        return bool(re.search(r"\d", text)) and (
            not math.isnan(_float(text))
            or bool(PERCENT.fullmatch(text) or THOUSANDS.fullmatch(text) or DECIMAL.fullmatch(text))
        )
    return isinstance(cell, int | float | np.number)


def numbers(column: pd.Series[Any], where: str, comma: bool = False) -> Numbers:
    """The numbers of a column; `where` names its file and itself for messages.

    `comma`: the file parts its cells by semicolons, so that a comma is a decimal one.
    UserError for a cell that is neither a number nor one of the words for none, and for a column
    whose commas may mean two things.
    """
    if column.dtype != object:
        values = column.to_numpy(dtype=float)
        bad = np.flatnonzero(~np.isfinite(values))
        words = {int(row): str(values[row]) for row in bad}
        return Numbers(np.where(np.isfinite(values), values, np.nan), words)
    cells = column.to_list()
    values = np.full(len(cells), np.nan)
    odd: list[int] = []
    told: dict[int, str] = {}
    for row, cell in enumerate(cells):
        value = _float(cell)
        if not math.isnan(value) and not math.isinf(value):
            values[row] = value
        elif isinstance(cell, str) and cell == ABSENT:
            continue
        elif _nothing(cell):
            told[row] = _word(cell)
        else:
            odd.append(row)
    if odd:
        written = [row for row in range(len(cells)) if row not in told and cells[row] != ABSENT]
        texts = [_plain(str(cells[row])) for row in written]
        values[written] = _read(texts, written, where, comma)
    return Numbers(values, told)


def _read(texts: Sequence[str], rows: Sequence[int], where: str, comma: bool) -> Array:
    """Texts that are not all plain numbers, read the one way that reads them all."""
    percent = all(text.endswith("%") for text in texts)
    bare = [text.removesuffix("%").strip() for text in texts] if percent else list(texts)
    if percent and all(re.fullmatch(r"[-+]?[\d.]+", text) for text in bare):
        bare, percent = [f"{text}e-2" for text in bare], False  # to the last digit
    plain = [_float(text) for text in bare]
    if not any(map(math.isnan, plain)):
        found = np.array(plain)
    else:
        with_commas = [text for text in bare if "," in text]
        by_thousands = all(THOUSANDS.fullmatch(t) for t in with_commas) and all(
            "," in text or not math.isnan(_float(text)) for text in bare
        )
        by_decimals = all(DECIMAL.fullmatch(text) and text.strip("+-") for text in bare)
        if any(map(_grouped, bare)) and not any("." in text for text in with_commas):
            by_decimals = False  # 3,41 beside 2.998
        if not with_commas or not (by_thousands or by_decimals):
            row = next(r for r, v in zip(rows, plain, strict=True) if math.isnan(v))
            text = texts[list(rows).index(row)]
            raise UserError(f"row {row + 1}: {text[:SHOWN]!r} is no number", where=where)
        if by_thousands and by_decimals and not comma:
            raise UserError(
                f"{with_commas[0]!r} may be {with_commas[0].replace(',', '.')} or "
                f"{with_commas[0].replace(',', '')}",
                where=where,
                hint="write a decimal point, and no commas between thousands",
            )
        if by_decimals:
            bare = [
                text.replace(".", "") if "," in text or _grouped(text) else text for text in bare
            ]
            found = np.array([float(text.replace(",", ".")) for text in bare])
        else:
            found = np.array([float(text.replace(",", "")) for text in bare])
    return found / 100 if percent else found


def _grouped(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+", text))


def _plain(text: str) -> str:
    """A text without the signs that are drawn otherwise."""
    return text.strip().replace("−", "-").replace("\u00a0", "").replace("\u202f", "")


def _float(cell: Any) -> float:
    """A number, or NaN."""
    if isinstance(cell, str):
        if "_" in cell:
            return math.nan
        try:
            return float(cell)
        except ValueError:
            return math.nan
    return float(cell) if isinstance(cell, int | float | np.number) else math.nan


def _nothing(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.strip().lower() in NOTHING or not cell.strip()
    return cell is None or (isinstance(cell, float | np.floating) and not math.isfinite(cell))


def _word(cell: Any) -> str:
    text = "null" if cell is None else str(cell).strip()
    return text or "empty"


def names(column: pd.Series[Any]) -> list[str]:
    """Cells as names: whole numbers without a point; text as it stands, `None` and `NA` too.

    An empty cell, an absent one and null are "".
    """
    cells = [None if _is_nan(c) or c == ABSENT else c for c in column.to_list()]
    told = [cell for cell in cells if cell is not None]
    texts = all(isinstance(cell, str) for cell in told)
    if texts and not all(re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", cell) for cell in told):
        return ["" if cell is None else cell for cell in cells]
    return ["" if cell is None else _name(cell) for cell in cells]


def _is_nan(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float | np.floating) and math.isnan(cell))


def _name(cell: Any) -> str:
    if isinstance(cell, str) and not re.fullmatch(r"-?\d+(\.\d+)?", cell):
        return cell
    if isinstance(cell, bool | np.bool_):
        return str(cell)
    if isinstance(cell, str):
        return cell.rstrip("0").rstrip(".") if "." in cell else cell
    if not isinstance(cell, float | np.floating):
        return str(cell)
    whole = float(cell).is_integer() and abs(float(cell)) < 1e15
    return str(int(cell)) if whole else str(float(cell)).replace("e+", "e")
