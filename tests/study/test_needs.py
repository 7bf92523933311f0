"""What jobs ask of a scheduler: enough, growing, and foretold from the study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT

from proxyscale.base import artifacts
from proxyscale.base.progress import note_duration
from proxyscale.selection.dsir import KNOWN
from proxyscale.study.job_times import SCANNED
from proxyscale.study.language_needs import LanguageNeeds as Needs
from proxyscale.study.language_study import LanguageStudy
from proxyscale.study.needs import MARGIN, Need, once_a_round
from proxyscale.study.plan import PAIR, TEXTS
from proxyscale.study.validation import read_yaml


@pytest.fixture(scope="module")
def default() -> LanguageStudy:
    return LanguageStudy.load(read_yaml(ROOT / "config.yaml") | {"results": "unmade"})


def with_scale(raw: dict[str, Any], **words: Any) -> LanguageStudy:
    raw["scales"]["large"].update(words)
    return LanguageStudy.load(raw)


def test_every_attempt_is_given_twice_as_much(default: LanguageStudy) -> None:
    need = Needs(default).train("ref", "mix")
    for attempt in (1, 2, 3):
        assert need.mem_mb(attempt + 1) == 2 * need.mem_mb(attempt)
        assert need.runtime(attempt + 1, 1) == 2 * need.runtime(attempt, 1)


def test_needs_grow_with_the_scale(default: LanguageStudy) -> None:
    needs = Needs(default)
    trained = [needs.train(scale, "mix") for scale in default.scales]
    for found in (trained, [needs.evaluate(scale) for scale in default.scales]):
        assert [need.memory for need in found] == sorted(need.memory for need in found)
        assert found[-1].seconds > 2 * found[0].seconds


def test_more_memory_for_parameters_batches_and_gpus(minimal: dict[str, Any]) -> None:
    small = Needs(with_scale(minimal)).train("large", "a").memory
    wide = Needs(with_scale(minimal, width=4096, layers=32, tokens=6400))
    parameters = wide.study.scales["large"].parameters
    assert wide.train("large", "a").memory > small + 16 * parameters
    assert wide.train("large", "a").memory < small + 17 * parameters
    big = Needs(with_scale(minimal, batch_tokens=16 * 4096))
    assert big.train("large", "a").memory > wide.train("large", "a").memory
    on_gpu = Needs(with_scale(minimal), "h100").train("large", "a")
    assert on_gpu.seconds < Needs(with_scale(minimal)).train("large", "a").seconds


def test_the_default_study_fits_what_it_measured(default: LanguageStudy) -> None:
    # CPU seconds of one thread, from a prototype of the default study: 0.7, 50 s.
    needs = Needs(default)
    assert 2 * 0.7 < needs.train("xxs", "mix").seconds < 60
    assert 2 * 50 < needs.train("ref", "mix").seconds < 3600


def test_finished_runs_take_the_place_of_the_formula(
    minimal: dict[str, Any], tmp_path: Path
) -> None:
    minimal["results"] = str(tmp_path)
    study = LanguageStudy.load(minimal)
    guessed = Needs(study).train("large", "a").seconds
    found = study.scales["large"]
    facts = {"parameters": found.parameters, "tokens": found.tokens}
    artifacts.write_json(tmp_path / "runs/large/mix/0-0/manifest.json", facts)
    log = tmp_path / "logs/train/large/mix/0-0.log"
    log.parent.mkdir(parents=True)
    log.touch()
    note_duration(log, 1100.0, 1000.0)
    measured = Needs(study).train("large", "a").seconds
    assert measured == pytest.approx(MARGIN * 1000)
    assert measured != guessed


def test_text_is_read_in_bounded_memory(minimal: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "vast.txt"
    with path.open("wb") as file:
        file.truncate(10**12)  # takes no room on the disk
    source = next(iter(minimal["sources"]))
    minimal["sources"][source] = {"files": str(path), "shards": 100}
    needs = Needs(LanguageStudy.load(minimal))
    vast = [needs.corpus(source), needs.pack(source)]
    assert all(need.memory < 0.15 * 10**12 for need in vast)
    minimal["sources"][source]["shards"] = 200
    assert Needs(LanguageStudy.load(minimal)).pack(source).memory < 0.6 * vast[1].memory


def test_processes_share_the_time_of_a_selection_and_each_takes_its_memory(
    minimal: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "vast.txt"
    with path.open("wb") as file:
        file.truncate(10**13)
    first, *others = minimal["sources"]
    minimal["sources"][first] = {"files": str(path), "shards": 40}
    minimal["tasks"]["p"]["target_examples"] = 20
    method = {"method": "dsir", "task": "p", "candidates": 10**9}
    minimal["distributions"] |= {
        "shared": method,
        "alone": method | {"candidate_sources": others},
        "plugins": method | {"method": "random", "task": None},
    }
    needs = Needs(LanguageStudy.load(minimal))
    found, alone = needs.select("shared"), needs.select("alone")
    assert (found.cores, alone.cores, needs.select("plugins").cores) == (40, 1, 1)
    tokens = 2 * 10**9 * minimal["pool"]["length"]
    assert alone.seconds - found.seconds == pytest.approx(MARGIN * tokens / SCANNED * 39 / 40)
    assert found.memory - alone.memory == pytest.approx(39 * (TEXTS + PAIR * KNOWN))
    # on fewer cores than it can use it takes longer
    assert [found.runtime(1, cores) for cores in (100, 40)] == [found.runtime(2, 40) // 2] * 2
    assert found.runtime(1, 10) == pytest.approx(4 * found.runtime(1, 40), abs=10)
    assert alone.runtime(1, 10) == alone.runtime(1, 1)


def test_several_processes_read_files_that_are_large_enough(
    minimal: dict[str, Any], tmp_path: Path
) -> None:
    source = next(iter(minimal["sources"]))

    def need(name: str, files: int, size: int, shards: int) -> Need:
        """Of a source of so many files of a size."""
        (tmp_path / name).mkdir(exist_ok=True)
        for number in range(files):
            with (tmp_path / name / f"{number}.txt").open("wb") as file:
                file.truncate(size)  # takes no room on the disk
        minimal["sources"][source] = {"files": f"{tmp_path}/{name}/*.txt", "shards": shards}
        return Needs(LanguageStudy.load(minimal)).corpus(source)

    alone, shared = (need("large", 20, 10**10, shards) for shards in (1, 4))
    assert (alone.cores, shared.cores) == (1, 4)
    assert 3.2 < alone.seconds / shared.seconds < 4
    assert 3e9 < shared.memory - alone.memory < 6e9
    # all of the text goes through one process in the end
    most, more = (need("large", 20, 10**10, shards) for shards in (8, 100))
    assert most == more
    assert most.cores == 8
    assert most.seconds == pytest.approx(MARGIN * 2e11 / 50e6, rel=0.05)
    assert need("two", 2, 10**10, 8).cores == 2
    assert need("small", 50, 10**6, 8).cores == 1
    assert need("several", 50, 16 * 10**6, 8).cores == 3


def test_gpus_are_those_of_the_scale_and_of_what_only_one_can_do(minimal: dict[str, Any]) -> None:
    minimal["execution"] = {"device": "h100", "gpus": 8, "micro_batch_tokens": 16}
    minimal["training"]["batch_tokens"] = 16 * 8 * 4
    minimal["scales"]["small"]["gpus"] = 0.25
    needs = LanguageStudy.load(minimal).needs()
    assert [needs.train(scale, "a").gpus for scale in ("small", "large")] == [0.25, 8]
    assert [needs.evaluate(scale).gpus for scale in ("small", "large")] == [0.25, 1]
    assert needs.most_gpus() == (8, "scales.large", "h100", 1)
    assert {need.gpus for need in (needs.select("mix"), needs.pool(), needs.reading())} == {0}
    minimal["execution"]["device"] = "cpu"
    needs = LanguageStudy.load(minimal).needs("a40")
    assert needs.train("large", "a").gpus == needs.evaluate("small").gpus == 0
    assert needs.most_gpus()[0] == 0


def test_several_nodes_share_gpus_and_each_holds_its_own_processes(minimal: dict[str, Any]) -> None:
    minimal["training"]["batch_tokens"] = 16 * 16 * 4
    minimal["execution"] = {"device": "h100", "gpus": 16, "micro_batch_tokens": 16}
    one = LanguageStudy.load(minimal).needs()
    minimal["scales"]["large"]["nodes"] = 2
    two = LanguageStudy.load(minimal).needs()
    found, alone = two.train("large", "a"), one.train("large", "a")
    assert (found.gpus, found.nodes, two.processes("large")) == (16, 2, 8)
    assert (alone.gpus, alone.nodes, one.processes("large")) == (16, 1, 16)
    assert (found.seconds, found.gpu_memory) == (alone.seconds, alone.gpu_memory)
    assert found.memory < 0.51 * alone.memory
    assert two.evaluate("large").nodes == two.train("small", "a").nodes == 1
    assert two.most_gpus() == (16, "scales.large", "h100", 2)


def test_states_are_shared_where_a_gpu_would_not_hold_them(minimal: dict[str, Any]) -> None:
    """7.1 billion parameters of 22 bytes are 156 GB; in eight parts of 16 they are 14."""
    minimal["training"]["batch_tokens"] = 16 * 64
    minimal["execution"] = {"device": "h100", "gpus": 8, "micro_batch_tokens": 16}
    minimal["scales"]["large"] |= {"width": 4096, "layers": 35, "tokens": 16 * 64}
    needs = LanguageStudy.load(minimal).needs()
    found = needs.train("large", "a")
    parameters = needs.study.scales["large"].parameters
    assert parameters == pytest.approx(7.05e9, rel=0.01)
    assert json.loads(needs.execution("large"))["sharded"] is True
    assert json.loads(needs.execution("small"))["sharded"] is False
    assert 2 * parameters < found.gpu_memory < 80e9
    assert found.memory < 8 * (5e9 + 4 * parameters) + 12 * parameters
    for gpus, said, sharded in ((8, False, False), (1, True, False), (1, None, False)):
        minimal["scales"]["large"] |= {"sharded": said, "gpus": gpus}
        needs = LanguageStudy.load(minimal).needs()
        assert json.loads(needs.execution("large"))["sharded"] is sharded
        assert needs.train("large", "a").gpu_memory > 18 * parameters
    minimal["scales"]["small"]["sharded"] = True
    needs = LanguageStudy.load(minimal).needs()
    assert json.loads(needs.execution("small"))["sharded"] is True


def test_a_gpu_holds_a_micro_batch_and_the_host_no_activations(minimal: dict[str, Any]) -> None:
    minimal["training"]["batch_tokens"] = 16 * 4096
    minimal["execution"] = {"device": "h100"}
    whole = LanguageStudy.load(minimal).needs().train("large", "a")
    minimal["execution"]["micro_batch_tokens"] = 16
    part = LanguageStudy.load(minimal).needs().train("large", "a")
    assert part.memory == whole.memory
    # bf16: 38 bytes a layer, and half of that beside them; 12 bytes a logit
    held = 38 * 2 + 19
    assert whole.gpu_memory - part.gpu_memory == pytest.approx(
        (16 * 4096 - 16) * (32 * held + 12 * 300)
    )


def test_on_gpus_a_finished_run_took_what_the_clock_says(
    minimal: dict[str, Any], tmp_path: Path
) -> None:
    minimal |= {"results": str(tmp_path), "execution": {"device": "h100"}}
    study = LanguageStudy.load(minimal)
    found = study.scales["large"]
    facts = {"parameters": found.parameters, "tokens": found.tokens}
    artifacts.write_json(tmp_path / "runs/large/mix/0-0/manifest.json", facts)
    log = tmp_path / "logs/train/large/mix/0-0.log"
    log.parent.mkdir(parents=True)
    log.touch()
    note_duration(log, 1100.0, 3.0)
    assert study.needs().train("large", "a").seconds == pytest.approx(MARGIN * 1100)


def test_a_need_is_worked_out_once_a_round() -> None:
    worked_out: list[dict[str, str]] = []

    def need(wildcards: dict[str, str]) -> Need:
        worked_out.append(wildcards)
        return Need(len(worked_out), 0)

    found = once_a_round(need)
    xs, s = {"scale": "xs"}, {"scale": "s"}
    assert [found(name, xs).memory for name in ("memory", "time", "gpus")] == [1, 1, 1]
    assert [found(name, xs).memory for name in ("time", "memory")] == [2, 2]
    assert [found("gpus", wildcards).memory for wildcards in (s, xs)] == [3, 4]
    assert worked_out == [xs, xs, s, xs]
