from __future__ import annotations

import itertools
import json
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from proxyscale import registry
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.pool import Pool, assemble, pack
from proxyscale.data.tokenizer import build_tokenizer
from proxyscale.data.tokens import load_tokenizer
from proxyscale.selection import candidates as of_candidates
from proxyscale.selection import select
from proxyscale.selection.candidates import Candidates, candidate_ids

SUBJECTS = {"birds": ["heron", "wren", "owl"], "metals": ["iron", "zinc", "lead"], "rare": ["ant"]}
DOCUMENTS = {"birds": 300, "metals": 200, "rare": 12}
LENGTH = 16


def document(source: str, number: int) -> str:
    rng = np.random.default_rng([len(source), number])
    return " ".join(f"the {rng.choice(SUBJECTS[source])} {rng.integers(999)}" for _ in range(12))


def write_corpus(folder: Path, source: str) -> Path:
    texts = [document(source, number) for number in range(DOCUMENTS[source])]
    columns = {
        "document": range(len(texts)),
        "name": [f"{source}/{number}" for number in range(len(texts))],
        "text": texts,
        "hash": range(len(texts)),
        "split": ["pool"] * len(texts),
    }
    artifacts.write(folder / "documents.parquet", pa.table(columns), "documents")
    artifacts.write_manifest(folder / "manifest.json", [folder / "documents.parquet"])
    return folder


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("files")
    corpora = {name: write_corpus(root / "corpora" / name, name) for name in SUBJECTS}
    spec = {"train": "bpe", "vocabulary": 300, "sample_bytes": 100_000}
    build_tokenizer(root / "tokenizer.json", corpora, spec)
    packs = {name: root / "pool" / name for name in corpora}
    for name, folder in packs.items():
        spec = {"source": name, "length": LENGTH, "seed": 0}
        pack(folder, corpora[name], root / "tokenizer.json", spec)
    assemble(root / "pool" / "manifest.json", packs)
    write_target(root, [f"the {bird} {n} the owl" for bird in SUBJECTS["birds"] for n in range(20)])
    return root


def write_target(root: Path, texts: list[str]) -> None:
    tokenizer = load_tokenizer(root / "tokenizer.json")
    columns = {
        "example": range(len(texts)),
        "choice": [0] * len(texts),
        "gold": [True] * len(texts),
        "tokens": [tokenizer.encode(text).ids for text in texts],
        "scored_from": [1] * len(texts),
        "prompt": [""] * len(texts),
        "continuation": texts,
    }
    for split in ("target", "holdout"):
        artifacts.write(root / "task" / f"{split}.parquet", pa.table(columns), "task")


@pytest.fixture(scope="session")
def pool(files) -> Pool:
    return Pool.open(files / "pool" / "manifest.json")


@pytest.fixture
def build(files, tmp_path):
    def built(
        method: str,
        size: int,
        seed: int = 0,
        name: str = "d",
        target=None,
        scores=None,
        processes=1,
        **spec,
    ):
        spec = {"name": name, "method": method, "size": size, "seed": seed, **spec}
        out = tmp_path / "distribution.parquet"
        select.build_distribution(
            out,
            spec,
            files / "pool" / "manifest.json",
            tokenizer=files / "tokenizer.json",
            target=target,
            scores=scores,
            processes=processes,
        )
        return artifacts.read(out, "distribution")

    return built


def examples(table: pa.Table) -> np.ndarray:
    return table["example"].to_numpy()


def sources(pool: Pool, table: pa.Table) -> dict[str, int]:
    names = np.asarray(pool.sources)[pool.source_of(examples(table))]
    found, counts = np.unique(names, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


# the sampler


finite = st.floats(-1e6, 1e6)


@given(npst.arrays(np.float64, st.integers(1, 40), elements=finite), st.data())
def test_top_takes_the_largest(scores, drawn):
    n = drawn.draw(st.integers(0, len(scores)))
    chosen = select.top(scores, n, "none", np.random.default_rng(0))
    assert len(set(chosen.tolist())) == n
    assert np.array_equal(scores[chosen], np.sort(scores)[::-1][:n])


def test_top_never_takes_the_excluded():
    scores = np.array([-np.inf, 0.0, -np.inf, 0.0])
    for noise in select.NOISES:
        chosen = select.top(scores, 2, noise, np.random.default_rng(0))
        assert set(chosen.tolist()) == {1, 3}
    with pytest.raises(UserError, match="3 examples are asked for and there are 2"):
        select.top(scores, 3, "none", np.random.default_rng(0))


def test_equals_are_ordered_at_random():
    rng = np.random.default_rng(0)
    hits = np.zeros(10)
    for _ in range(2000):
        hits[select.top(np.zeros(10), 3, "none", rng)] += 1
    assert np.allclose(hits / 2000, 0.3, atol=0.05)


def test_gumbel_samples_in_proportion_to_the_weights():
    rng = np.random.default_rng(0)
    weights = np.array([0.5, 0.3, 0.15, 0.05])
    first = [select.top(np.log(weights), 1, "gumbel", rng)[0] for _ in range(20_000)]
    assert np.allclose(np.bincount(first, minlength=4) / 20_000, weights, atol=0.015)


def test_pareto_is_the_rule_of_gpt3():
    scores = np.random.default_rng(1).random(500)
    kept = np.random.default_rng(2).pareto(9, 500) > 1 - scores
    chosen = select.top(scores, int(kept.sum()), "pareto", np.random.default_rng(2))
    assert set(chosen.tolist()) == set(np.flatnonzero(kept).tolist())


def test_unknown_noise_offers_the_nearest():
    with pytest.raises(UserError, match="did you mean 'gumbel'"):
        select.top(np.zeros(3), 1, "gumbell", np.random.default_rng(0))


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=12), st.integers(0, 10_000))
def test_quotas_add_up_and_stay_within_one_of_the_share(weights, n):
    if not sum(weights) > 0:
        return
    named = {str(i): weight for i, weight in enumerate(weights)}
    found = select.quotas(named, n)
    assert sum(found.values()) == n
    shares = np.array(weights) / sum(weights) * n
    assert np.all(np.abs(np.array(list(found.values())) - shares) < 1 + 1e-6)


def test_quotas_by_largest_remainder():
    assert select.quotas({"a": 0.5, "b": 0.3, "c": 0.2}, 8) == {"a": 4, "b": 2, "c": 2}


# methods


def test_random_is_seeded_and_draws_are_independent(build):
    first = build("random", 100, draws=2)
    again = build("random", 100, draws=2)
    assert first.equals(again)
    draws = first["draw"].to_numpy()
    one, two = (set(examples(first)[draws == draw].tolist()) for draw in (0, 1))
    assert len(one) == len(two) == 100
    assert one != two
    assert not first.equals(build("random", 100, draws=2, seed=1))
    assert not first.equals(build("random", 100, draws=2, name="other"))


def test_source_takes_its_rows_alone(build, pool):
    assert sources(pool, build("source", 50, options={"sources": "metals"})) == {"metals": 50}
    both = sources(pool, build("source", 200, options={"sources": ["metals", "birds"]}))
    assert set(both) == {"metals", "birds"}
    with pytest.raises(UserError, match="did you mean 'metals'"):
        build("source", 5, options={"sources": "metal"})


def test_mixture_keeps_its_quotas(build, pool):
    weights = {"birds": 3, "metals": 1}
    assert sources(pool, build("mixture", 80, options={"weights": weights})) == {
        "birds": 60,
        "metals": 20,
    }


def test_a_small_source_is_an_error_unless_repeated(build, pool):
    size = 4 * pool.counts["rare"]
    options = {"weights": {"birds": 1, "rare": 1}}
    with pytest.raises(UserError, match="source 'rare'"):
        build("mixture", size, options=options)
    table = build("mixture", size, options=options, repeat=True)
    assert sources(pool, table) == {"birds": size // 2, "rare": size // 2}
    times = np.unique(
        examples(table)[examples(table) >= min(pool.ids_of("rare"))], return_counts=True
    )
    assert set(times[1].tolist()) == {2}


def test_dirichlet_draws_differ_and_fill_the_size(build, pool):
    table = build("dirichlet", 60, draws=6, repeat=True)
    draws = table["draw"].to_numpy()
    shares = [sources(pool, table.filter(draws == draw)) for draw in range(6)]
    assert all(sum(share.values()) == 60 for share in shares)
    assert len({json.dumps(share) for share in shares}) > 3
    assert not table.equals(build("dirichlet", 60, draws=6, repeat=True, name="other"))


def test_candidates_are_one_subset_for_every_method(build, pool):
    allowed = set(candidate_ids(pool, 120, 0).tolist())
    assert len(allowed) == 120
    assert set(examples(build("random", 120, candidates=120)).tolist()) == allowed
    assert set(candidate_ids(pool, 120, 1).tolist()) != allowed
    with pytest.raises(UserError, match="candidates are asked for"):
        build("random", 1, candidates=len(pool) + 1)


def test_candidates_may_come_from_some_sources(build, pool):
    table = build("random", 60, candidates=80, candidate_sources=["metals"])
    assert sources(pool, table) == {"metals": 60}


@pytest.mark.parametrize(
    ("method", "noise"), [("dsir", None), ("classifier", None), ("classifier", "pareto")]
)
def test_text_methods_find_the_target(build, pool, files, method, noise):
    table = build(method, 60, target=files / "task" / "target.parquet", noise=noise)
    found = sources(pool, table)
    assert found["birds"] >= (45 if noise else 54)
    scores = table["score"].to_numpy()
    assert scores.std() > 0
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("method", ["dsir", "classifier"])
@pytest.mark.parametrize("part", [7, 500, 4000])
def test_the_number_of_processes_changes_nothing(build, files, monkeypatch, method, part):
    """Nor how the candidates are parted: 4,000 are more than there are."""
    monkeypatch.setattr(select, "FITTED", 200)
    asked = {"target": files / "task" / "target.parquet", "draws": 2, "noise": "gumbel"}
    whole = build(method, 60, **asked)
    monkeypatch.setattr(of_candidates, "PART", part)
    tables = [build(method, 60, **asked, processes=count) for count in (1, 2, 3)]
    assert all(table.equals(whole) for table in tables)


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_parts_are_all_candidates_in_their_order(pool, files, count, part, processes):
    ids, tokenizer = np.arange(count), load_tokenizer(files / "tokenizer.json")
    mine = Candidates(pool, ids, np.random.default_rng(0), tokenizer, processes=processes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_candidates, "PART", part)
        parts = list(mine.map_texts(list))
    assert all(len(texts) == part for texts in parts[:-1])
    assert list(itertools.chain(*parts)) == list(mine.texts())


@pytest.mark.parametrize("draws_itself", [False, True, "by children"])
def test_a_method_is_asked_once_for_all_draws_unless_it_draws(
    build, files, pool, monkeypatch, draws_itself
):
    asked = []

    @registry.selection(noise="gumbel")
    def counted(candidates):
        asked.append(len(candidates))
        if draws_itself:
            rng = candidates.rng if draws_itself is True else candidates.rng.spawn(1)[0]
            return rng.normal(size=len(candidates))
        return np.arange(len(candidates)) % 7.0

    try:
        table = build("counted", 40, draws=3, candidates=150)
    finally:
        del registry.selection.functions["counted"]
    assert asked == [150] * (3 if draws_itself else 1)
    ids = candidate_ids(pool, 150, 0)
    draw = table["draw"].to_numpy()
    for number in range(3):
        rng = np.random.default_rng([0, number, zlib.crc32(b"d")])
        scores = np.arange(150) % 7.0
        if draws_itself:
            scores = (rng if draws_itself is True else rng.spawn(1)[0]).normal(size=150)
        chosen = np.sort(select.top(scores, 40, "gumbel", rng))
        assert examples(table)[draw == number].tolist() == ids[chosen].tolist()


def test_an_error_of_a_process_is_the_users(build, files, monkeypatch):
    @registry.selection(in_parts=True)
    def fails(candidates):
        def told(texts):
            raise UserError("this text is no text", where=next(texts)[:3])

        return list(candidates.map_texts(told))

    monkeypatch.setattr(of_candidates, "PART", 50)
    try:
        with pytest.raises(UserError, match="this text is no text") as raised:
            build("fails", 5, processes=2)
    finally:
        del registry.selection.functions["fails"]
    assert raised.value.where


def test_dsir_samples_by_importance_unless_told_otherwise(build, files):
    target = files / "task" / "target.parquet"
    table = build("dsir", 60, target=target, draws=2)
    assert table.equals(build("dsir", 60, target=target, draws=2, noise="gumbel"))
    best = build("dsir", 60, target=target, noise="none")["score"].to_numpy()
    draws = table["draw"].to_numpy()
    for draw in (0, 1):
        assert table["score"].to_numpy()[draws == draw].min() < best.min()


def test_deterministic_draws_are_refused(build, files):
    with pytest.raises(UserError, match="all draws are the same"):
        build("classifier", 60, target=files / "task" / "target.parquet", draws=2)


def write_scores(path: Path, ids: np.ndarray, split: str) -> np.ndarray:
    scores = np.random.default_rng(0).normal(size=len(ids)).astype(np.float32)
    order = np.random.default_rng(1).permutation(len(ids))
    table = pa.table({"example": ids[order], "score": scores[order]})
    artifacts.write(path, table, "score")
    artifacts.write_manifest(path.with_suffix(".json"), [path], split=split)
    return scores


def test_dsdm_takes_the_largest_and_bot_dsdm_the_smallest(build, pool, tmp_path):
    ids = candidate_ids(pool, 200, 0)
    scores = write_scores(tmp_path / "task.parquet", ids, "target")
    order = np.argsort(scores)
    for method, expected in (("dsdm", order[-20:]), ("bot-dsdm", order[:20])):
        table = build(method, 20, candidates=200, scores=tmp_path / "task.parquet")
        assert set(examples(table).tolist()) == set(ids[expected].tolist())


def test_unscored_candidates_are_an_error(build, pool, tmp_path):
    write_scores(tmp_path / "task.parquet", candidate_ids(pool, 200, 0), "target")
    with pytest.raises(UserError, match="have no score"):
        build("dsdm", 20, candidates=201, scores=tmp_path / "task.parquet")


FILTER = '''
import numpy as np

from proxyscale.registry import selection


@selection
def long_words(candidates, *, minimum: float = 3.0):
    """Rows whose mean word has `minimum` letters or more."""
    means = [np.mean([len(word) for word in text.split()]) for text in candidates.texts()]
    return np.where(np.array(means) >= minimum, 0.0, -np.inf)
'''


def test_a_users_own_method_is_one_function(build, pool, files, tmp_path):
    plugin = tmp_path / "filter.py"
    plugin.write_text(FILTER)
    registry.load_plugins([plugin])
    try:
        table = build("long-words", 30, options={"minimum": 3.0})
        assert build("long-words", 30, options={"minimum": 3.0}, processes=2).equals(table)
        texts = load_tokenizer(files / "tokenizer.json").decode_batch(pool.rows(examples(table)))
        assert all(np.mean([len(word) for word in text.split()]) >= 3.0 for text in texts)
        assert registry.selection.help("long-words").startswith("Rows whose mean word")
        with pytest.raises(UserError, match="30 examples are asked for and there are 0"):
            build("long-words", 30, options={"minimum": 50.0})
    finally:
        del registry.selection.functions["long-words"]


@pytest.mark.parametrize("wrong", [lambda n: np.zeros(3), lambda n: 1.0, lambda n: [np.nan] * n])
def test_a_users_method_that_gives_no_scores_is_told(build, wrong):
    @registry.selection
    def broken(candidates):
        return wrong(len(candidates))

    try:
        with pytest.raises(UserError, match="broken: a selection method gives one number for each"):
            build("broken", 5)
    finally:
        del registry.selection.functions["broken"]


# the holdout is out of reach


def test_the_holdout_is_refused(build, files, tmp_path):
    holdout = files / "task" / "holdout.parquet"
    with pytest.raises(UserError, match="target examples only"):
        build("dsir", 10, target=holdout)
    disguised = tmp_path / "target.parquet"
    disguised.symlink_to(holdout)
    with pytest.raises(UserError, match="target examples only"):
        build("dsir", 10, target=disguised)


def test_scores_of_the_holdout_are_refused(build, pool, tmp_path):
    write_scores(tmp_path / "task.parquet", candidate_ids(pool, None, 0), "holdout")
    with pytest.raises(UserError, match="scores of target examples only"):
        build("dsdm", 10, scores=tmp_path / "task.parquet")


def test_methods_say_what_they_miss(build):
    with pytest.raises(UserError, match="name a target"):
        build("dsir", 10)
    with pytest.raises(UserError, match="name scored_on"):
        build("dsdm", 10)
