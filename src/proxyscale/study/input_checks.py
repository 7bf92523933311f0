"""What a study asks of the machine: files that are there, readable and large enough.

Told before the graph is built, with what their first records lack, apart from `cross_checks`, which
look at the config alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxyscale.base.errors import UserError, UserErrors
from proxyscale.data.installed import check_installed
from proxyscale.data.opening import is_compressed
from proxyscale.data.records import format_of, listed, matching, no_match
from proxyscale.study import field_checks
from proxyscale.study.config_data import Source
from proxyscale.study.distribution_checks import sources_named
from proxyscale.study.field_checks import Measured
from proxyscale.study.language_runs import LanguageRuns
from proxyscale.study.option_checks import corpus_kind
from proxyscale.study.scales import tokenizer_size


def check_inputs(study: LanguageRuns) -> None:
    """UserErrors with every file that is missing or unreadable, and every source too small."""
    found = list(_missing(study)) or list(_too_small(study))
    if found:
        raise UserErrors(found)


def _missing(study: LanguageRuns) -> Iterator[UserError]:
    for name, source in study.config.sources.items():
        options = source.options
        if corpus_kind(source) == "files":
            where = f"sources.{name}"
            missing = list(_files(study, where, options["files"], options.get("format")))
            yield from missing or field_checks.of_source(where, source)
        elif corpus_kind(source) == "installed":
            try:
                check_installed(listed(options["installed"]), options["part"])
            except UserError as error:
                yield _at(f"sources.{name}.{error.where}", error)
    yield from of_tasks(study)
    if study.config.tokenizer.file is not None:
        yield from _tokenizer(study)


def of_tasks(study: Measured) -> Iterator[UserError]:
    """Records of test sets that are missing or unreadable, or lack what their kind asks for."""
    for name, task in study.config.tasks.items():
        missing: list[UserError] = []
        for key, part in task.records.parts.items() if task.records else ():
            where = ".".join(filter(None, ("tasks", name, "records", key)))
            if part.files is not None:
                missing += _files(study, where, part.files, part.format)
        yield from missing or field_checks.of_task(study, name)


def _files(
    study: Measured, where: str, patterns: str | list[str], told: str | None
) -> Iterator[UserError]:
    if not listed(patterns):
        yield UserError("names no file", where=f"{where}.files")
    for pattern in listed(patterns):
        found = study.local_files.of(pattern)
        if not found:
            yield _at(f"{where}.files", no_match(pattern))
        # of each kind of name one: there may be very many
        for path in {Path(path).name.partition(".")[2]: path for path in found}.values():
            try:
                format_of(Path(path), told)
            except UserError as error:
                yield _at(f"{where}.format", error)
                break
        for path, status in found.items():
            if not status.st_size:
                yield UserError(f"{path} is empty", where=f"{where}.files")
            if not os.access(path, os.R_OK):
                yield UserError(f"{path} cannot be read: no permission", where=f"{where}.files")


def _at(where: str, error: UserError) -> UserError:
    facts: dict[str, Any] = {key: getattr(error, key) for key in ("value", "allowed", "hint")}
    return UserError(error.message, where=where, **facts)


def _tokenizer(study: LanguageRuns) -> Iterator[UserError]:
    section = study.config.tokenizer
    assert section.file is not None
    files = matching(section.file)
    if not files:
        yield _at("tokenizer.file", no_match(section.file))
        return
    try:
        size = tokenizer_size(str(files[0]))
    except UserError as error:
        yield _at("tokenizer.file", error)
        return
    if section.pad_vocabulary_to and size > section.pad_vocabulary_to:
        message = f"the tokenizer has {size} entries already"
        yield UserError(message, where="tokenizer.pad_vocabulary_to")


def text_bytes(study: LanguageRuns, name: str) -> int | None:
    """About how much text a source has, in bytes; None where that cannot be told beforehand.

    Text packs about three to one, where its file is compressed.
    """
    source = study.config.sources[name]
    limits = [source.max_bytes] if source.max_bytes else []
    if source.documents and source.max_document_bytes:
        limits.append(source.documents * source.max_document_bytes)
    if corpus_kind(source) == "files":
        found = study.local_files.of(source.options["files"]).items()
        limits.append(sum(s.st_size * (3 if _packed(path) else 1) for path, s in found))
    return min(limits, default=None)


def _packed(path: str) -> bool:
    return is_compressed(path) or path.lower().endswith(".parquet")


def _most_bytes(study: LanguageRuns, source: Source) -> float:
    """The most text that a source's files can have; infinite where that cannot be told."""
    if corpus_kind(source) != "files":
        return math.inf
    found = study.local_files.of(source.options["files"])
    if any(map(_packed, found)):
        return math.inf
    return sum(status.st_size for status in found.values())


def _too_small(study: LanguageRuns) -> Iterator[UserError]:
    """Distributions that no tokenizer can fill from their sources.

    A token is a byte of text at least, or the end of a document; as duplicates are dropped, there
    are at most half as many documents as bytes, but for the 256 of a single byte.
    """
    entries = study.config.sources.items()
    most = {name: 1.5 * _most_bytes(study, entry) + 256 for name, entry in entries}
    for name, entry in study.config.distributions.items():
        named = [source for source in sources_named(entry.options) if source in most]
        size = entry.size or study.config.selection.size
        tokens = size * study.config.pool.length
        room = sum(most[source] for source in named or most)
        if tokens > room and not entry.repeat:
            told = " and ".join(named) if named else "all sources together"
            yield UserError(
                f"{size} examples are {tokens:,} tokens, and {told} cannot have more than "
                f"{int(room):,}",
                where=f"distributions.{name}.size",
                hint="ask for fewer, give more text, or set `repeat: true`",
            )
