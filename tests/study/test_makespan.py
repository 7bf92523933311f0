"""The simulation of a schedule: small graphs by hand, and what no schedule can be outside of."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyscale.study.makespan import Work, critical_path, makespan


def test_jobs_share_gpus_and_cores() -> None:
    three = [Work(6.0, gpus=1.0)] * 3
    assert makespan(three, gpus=3, cores=3) == 6
    assert makespan(three, gpus=2, cores=3) == 12
    assert makespan(three, gpus=3, cores=1) == 18  # each takes a core, too
    assert makespan([Work(6.0, gpus=0.25)] * 4, gpus=1, cores=8) == 6
    assert makespan([Work(6.0, gpus=1 / 3)] * 3, gpus=1, cores=8) == 6  # thirds add up to one
    assert makespan([], gpus=0, cores=1) == 0


def test_a_job_of_several_cores_waits_for_them_and_takes_longer_on_fewer() -> None:
    assert makespan([Work(6.0, cores=4)], 0, 4) == makespan([Work(6.0, cores=4)], 0, 8) == 6
    assert makespan([Work(6.0, cores=4)], 0, 1) == 24
    # 0 runs until 2, 2 beside it until 5; 1 has its three cores at 5
    assert makespan([Work(2.0), Work(4.0, cores=3), Work(5.0, priority=1)], 0, 3) == 9


def test_a_job_waits_for_others_and_the_highest_priority_goes_first() -> None:
    # by hand, one core: 0 (2 s), then 3 of the higher priority (5 s), then 1 and 2 (3 s each)
    graph = [Work(2.0), Work(3.0, after=(0,)), Work(3.0, after=(0,)), Work(5.0, priority=1)]
    assert makespan(graph, 0, 1) == 13
    # two cores: 3 runs until 5 beside 0 until 2 and 1 until 5; 2 until 8
    assert makespan(graph, 0, 2) == 8
    # with the long one last, it begins at 3, when 1 and 2 do: it ends at 10
    late = [Work(2.0), Work(3.0, priority=2, after=(0,)), Work(3.0, priority=2), Work(5.0)]
    assert makespan(late, 0, 2) == 8
    assert makespan([*late[:3], Work(5.0, after=(1, 2))], 0, 2) == 10


def test_a_job_of_a_whole_node_lets_smaller_ones_pass_and_waits_for_all_gpus() -> None:
    graph = [Work(4.0, gpus=1), Work(3.0, gpus=8, priority=1, after=(0,)), Work(9.0, gpus=1)]
    # 0 and 2 start; at 4 the large one may run, and waits for the ninth second
    assert makespan(graph, 8, 8) == 12
    assert makespan(graph, 9, 8) == 9


def test_a_job_of_several_cores_waits_for_them_or_takes_longer_on_fewer() -> None:
    graph = [Work(4.0), Work(3.0, cores=4), Work(9.0)]
    assert makespan(graph, 0, 6) == 9
    assert makespan(graph, 0, 5) == 12  # the long one from 3 on
    assert makespan(graph, 0, 4) == 12  # the large one from 9 on
    assert makespan([Work(3.0, cores=4)], 0, 1) == 12
    assert makespan([Work(3.0, cores=4)] * 2, 0, 8) == 3


def test_the_critical_path_is_the_longest_chain() -> None:
    graph = [Work(1.0), Work(5.0), Work(2.0, after=(0, 1)), Work(4.0, after=(0,)), Work(0.5)]
    assert critical_path(graph) == [1, 2]
    assert critical_path([]) == []


@st.composite
def graphs(draw: st.DrawFn) -> list[Work]:
    """Jobs that wait for some of those before them."""
    works: list[Work] = []
    for number in range(draw(st.integers(1, 12))):
        before = draw(st.sets(st.integers(0, number - 1))) if number else set()
        works.append(
            Work(
                seconds=draw(st.integers(0, 20)) / 2,
                gpus=draw(st.sampled_from([0, 0.25, 1, 2, 4])),
                priority=draw(st.integers(0, 3)),
                after=tuple(sorted(before)),
                cores=draw(st.sampled_from([1, 1, 1, 2, 3])),
            )
        )
    return works


@given(graphs(), st.integers(4, 9), st.integers(1, 5))
def test_no_schedule_is_shorter_than_its_bounds(works: list[Work], gpus: int, cores: int) -> None:
    took = makespan(works, gpus, cores)
    here = [one.within(cores) for one in works]
    work = sum(one.cores * one.seconds for one in works)
    assert took <= sum(one.seconds for one in here) + 1e-9
    assert took >= work / cores - 1e-9
    assert took >= sum(one.gpus * one.seconds for one in works) / gpus - 1e-9
    path = critical_path(works)
    assert took >= sum(here[number].seconds for number in critical_path(here)) - 1e-9
    assert all(one in works[two].after for one, two in pairwise(path))
    bound = sum(works[number].seconds for number in path)
    assert makespan(works, 1e9, 3 * len(works)) == pytest.approx(bound)
