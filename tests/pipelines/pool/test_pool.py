"""Results, their order, and what becomes of exceptions."""

from __future__ import annotations

import itertools
import os
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_tools import OpenPool, results

from pipelines.pool import Failure, PoolError, ProcessPool


def test_results_come_in_the_order_of_the_tasks(open_pool: OpenPool) -> None:
    # The first ones take the longest, so they finish in nearly the opposite order.
    tasks = [("sleep", 0.4 - 0.05 * i) for i in range(8)] + [("echo", i) for i in range(40)]
    pairs = list(open_pool(3).imap(tasks))
    assert [task for task, _ in pairs] == tasks
    assert [result for _, result in pairs[8:]] == list(range(40))


@settings(max_examples=15, deadline=None)
@given(values=st.lists(st.none() | st.integers() | st.text() | st.binary(max_size=3000)))
def test_any_value_comes_back_as_it_was(shared: ProcessPool, values: list[Any]) -> None:
    tasks = [("echo", value) for value in values]
    assert list(shared.imap(tasks)) == list(zip(tasks, values, strict=True))


@pytest.fixture(scope="module")
def shared() -> Iterator[ProcessPool]:
    with ProcessPool(2, function="pool_tasks:act") as pool:
        yield pool


def test_large_tasks_and_large_results(open_pool: OpenPool) -> None:
    payload = bytes(range(256)) * (40 << 12)
    assert results(open_pool(2), [("echo", payload), ("echo", payload)]) == [payload, payload]


def test_no_workers_run_in_this_process(open_pool: OpenPool) -> None:
    pool = open_pool(0, initializer="pool_tasks:greet", initargs=("here",))
    echoed, failed, greeted = results(pool, [("echo", 1), ("raise", "gone"), ("greeted", None)])
    assert (echoed, greeted) == (1, "here")
    assert failed == Failure("error", "KeyError: 'gone'")


def test_an_exception_is_that_tasks_failure(open_pool: OpenPool) -> None:
    tasks = [("raise", "gone"), ("refuse", "a password is needed"), ("echo", 3)]
    assert results(open_pool(1), tasks) == [
        Failure("error", "KeyError: 'gone'"),
        Failure("error", "a password is needed", "encrypted"),
        3,
    ]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (("unshowable", None), "its message cannot be shown"),
        (("surrogate", None), "name \\udcff"),
        (("unpicklable", None), "cannot pickle"),
        (("sys_exit", 3), "SystemExit: 3"),
        (("raise", "x" * 10_000), "…"),
    ],
)
def test_odd_endings_are_failures_with_a_printable_message(
    open_pool: OpenPool, task: Any, said: str
) -> None:
    failed, after = results(open_pool(1), [task, ("echo", "fine")])
    assert isinstance(failed, Failure)
    assert failed.kind == "error"
    assert said in failed.message
    assert len(failed.message) <= 2000
    failed.message.encode("utf-8")
    assert after == "fine"


def test_a_task_that_cannot_be_sent_is_a_failure(open_pool: OpenPool) -> None:
    lock = threading.Lock()
    failed, after = results(open_pool(1), [("echo", lock), ("echo", 2)])
    assert "cannot be sent" in failed.message
    assert after == 2


def test_tasks_are_taken_only_as_they_are_needed(open_pool: OpenPool) -> None:
    taken = 0

    def endless() -> Iterator[tuple[str, int]]:
        nonlocal taken
        for taken in itertools.count(1):
            yield "echo", taken

    stream = open_pool(2).imap(endless(), window=5)
    assert [result for _, result in itertools.islice(stream, 20)] == list(range(1, 21))
    assert taken <= 26
    stream.close()  # type: ignore[attr-defined]


def test_a_slow_task_does_not_hold_up_those_behind_it(open_pool: OpenPool) -> None:
    pool = open_pool(2)
    results(pool, [("echo", 0), ("echo", 0)])  # both are up
    tasks = [("woken_at", 2.0), *[("woken_at", 0.01)] * 8]
    slow, *others = [result for _, result in pool.imap(tasks, window=16)]
    assert sorted(others)[3] < slow


def test_an_iterable_that_raises_ends_the_loop_with_its_error(open_pool: OpenPool) -> None:
    def broken() -> Iterator[tuple[str, int]]:
        yield "echo", 1
        raise LookupError("no more")

    pool = open_pool(1)
    with pytest.raises(LookupError, match="no more"):
        results(pool, broken())
    assert results(pool, [("echo", 2)]) == [2]


def test_leaving_early_kills_what_runs_and_leaves_the_pool_usable(open_pool: OpenPool) -> None:
    pool = open_pool(2)
    # Nobody waits for an hour: the test would end at its time limit.
    for _ in pool.imap([("echo", 1), *[("sleep", 3_600)] * 3]):
        break
    assert results(pool, [("echo", n) for n in range(6)]) == list(range(6))


def test_one_loop_at_a_time(open_pool: OpenPool) -> None:
    pool = open_pool(1)
    first = pool.imap([("echo", 1), ("echo", 2)])
    next(first)
    with pytest.raises(PoolError, match="already mapping"):
        results(pool, [("echo", 3)])
    assert [result for _, result in first] == [2]


def test_workers_serve_one_loop_after_another(open_pool: OpenPool) -> None:
    pool = open_pool(1)
    assert results(pool, [("pid", None)]) == results(pool, [("pid", None)])
    pool.close()
    assert results(pool, [("echo", "again")]) == ["again"]


def test_the_initializer_runs_once_in_each_worker(open_pool: OpenPool) -> None:
    pool = open_pool(2, initializer="pool_tasks:greet", initargs=("good day",))
    assert results(pool, [("greeted", None)] * 4) == ["good day"] * 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"function": "no_such_module:function"}, "No module named 'no_such_module'"),
        ({"function": "pool_tasks:nothing"}, "nothing"),
        ({"function": "pool_tasks"}, "package.module:function"),
        ({"function": "pool_tasks:sys"}, "is not a function but module"),
        ({"initializer": "pool_tasks:refuse_to_start"}, "no licence file"),
        ({"initializer": "pool_tasks:die_at_start"}, "exited with status 7"),
    ],
)
def test_workers_that_cannot_work_are_an_error_with_the_reason(
    open_pool: OpenPool, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(PoolError) as caught:
        results(open_pool(1, **options), [("echo", 1)])
    assert said in str(caught.value)


def test_a_preload_that_cannot_be_imported_is_no_error(open_pool: OpenPool) -> None:
    assert results(open_pool(1, preload=("no_such_module",)), [("echo", 1)]) == [1]


def test_what_is_prepared_is_loaded_once_for_all_workers(open_pool: OpenPool) -> None:
    pool = open_pool(2, prepare=[("pool_tasks:greet", ("hello",)), ("pool_tasks:mark", ())])
    marks = results(pool, [("marked_by", None)] * 4)
    assert results(pool, [("greeted", None)] * 2) == ["hello"] * 2
    assert len(set(marks)) == 1
    assert marks[0] != os.getpid()


def test_a_preparation_that_fails_is_no_error(open_pool: OpenPool) -> None:
    assert results(open_pool(1, prepare=[("pool_tasks:refuse_to_start", ())]), [("echo", 1)]) == [1]


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"memory_bytes": 0}, {"workers": -1}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        ProcessPool(**{"workers": 1, "function": "pool_tasks:act"} | wrong)


def test_a_failure_survives_pickling() -> None:
    failure = Failure("timeout", "too long", "timeout")
    assert pickle.loads(pickle.dumps(failure)) == failure
