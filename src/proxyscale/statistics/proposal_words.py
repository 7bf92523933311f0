"""A proposal in words: what it is, what is to be minded, and whether its promise held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def told(record: Mapping[str, Any]) -> list[str]:
    """The proposal in a sentence, its warnings, and whether its promise held."""
    lines = [_proposed(record)]
    if larger := record["larger"]:
        lines.append(
            f"With {larger['runs']} runs of {record['scale']} on top, mixtures left out are ordered"
            f" at Spearman {larger['with']:.2f}, by {record['trained_at']} alone at "
            f"{larger['without']:.2f}."
        )
        lines.append(_transfers(record))
    lines += [f"Note: {warning}." for warning in record["warnings"]]
    return [*lines, *_kept(record)]


def closing(record: Mapping[str, Any]) -> list[str]:
    """What is said of it when a study has run."""
    return [_proposed(record), *_kept(record)]


def _proposed(record: Mapping[str, Any]) -> str:
    shares = sorted(record["weights"].items(), key=lambda entry: -entry[1])
    named = ", ".join(f"{share:.0%} {name}" for name, share in shares if share > 0.005)
    return (
        f"Proposed from {record['mixtures']} mixtures: {named}; at {record['scale']} its objective "
        f"is expected at {record['predicted']:.3f} [{record['low']:.3f}, {record['high']:.3f}] "
        f"({record['unit']}), {abs(record['gain']):.3f} "
        f"{'below' if record['gain'] >= 0 else 'above'} the best trained mixture "
        f"({record['best_trained']}); {max(record['sure_gain'], 0.0):.3f} of gain is sure."
    )


def _transfers(record: Mapping[str, Any]) -> str:
    """Which objective is best foretold by the smaller scale."""
    found = sorted(record["larger"]["transfers"].items(), key=lambda entry: -entry[1])
    each = ", ".join(f"{name} {value:.2f}" for name, value in found)
    return (
        f"How well an objective that {record['trained_at']} foretells orders the mixtures of "
        f"{record['scale']} (Spearman): {each}."
    )


def _kept(record: Mapping[str, Any]) -> list[str]:
    """Whether the promise held, a sentence for each scale that trained the proposal."""
    lines = []
    for row in record["promise"]:
        gain = "" if row["gain"] is None else f", {row['gain']:+.3f} gained over the best trained"
        if row["gain_low"] is not None:
            gain += f" [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}]"
        kept = ""
        if "held" in row:
            kept = "; the promise held" if row["held"] else "; the promise did not hold"
        lines.append(
            f"Trained at {row['scale']} the proposal is number {row['rank']} of {row['of']} at "
            f"{row['value']:.3f}{gain}{kept}."
        )
    return lines
