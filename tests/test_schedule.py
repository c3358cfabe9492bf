"""What is examined next, and what becomes of pictures at which a process ended: decided without any process."""

from __future__ import annotations

import pytest

from scanner.engine.schedule import Schedule, Task, Work
from scanner.files.candidate import Candidate

ROOM = 1000


def schedule_of(count: int) -> tuple[Schedule, list[Task]]:
    """A schedule of so many tasks, each of a content of its own, with chunks of four."""
    schedule = Schedule(ROOM)
    schedule.pace = 0.0125
    tasks = [Task(i, Candidate(f"{i}.jpg"), sha256=f"{i:064x}") for i in range(count)]
    for task in tasks:
        schedule.put(task)
    return schedule, tasks


def numbers(*works: Work) -> list[list[int]]:
    return [[task.number for task in work.tasks] for work in works]


def suspect(schedule: Schedule, task: Task) -> None:
    """Have a process end at a task that it decoded beside others."""
    assert schedule.blame(task, 2, "decoder_crashed") == []


def test_chunks_come_in_order():
    schedule, _ = schedule_of(6)
    assert numbers(schedule.next_work([]), schedule.next_work([])) == [[0, 1, 2, 3], [4, 5]]
    assert schedule.waiting == 0


@pytest.mark.parametrize("pace", [0.001, 0.02, 10.0])
def test_a_chunk_is_about_as_long_whatever_pictures_take(pace):
    schedule, _ = schedule_of(1)
    schedule.pace = pace
    assert schedule.chunk == {0.001: 8, 0.02: 2, 10.0: 1}[pace]


def test_what_a_process_was_at_and_what_it_read_meanwhile_may_have_ended_it():
    schedule, _ = schedule_of(4)
    work = schedule.next_work([])
    assert [task.number for task in work.at_its_end()] == [0]
    for position, blamed in [(0, [0, 1]), (2, [2, 3]), (3, [3])]:
        work.position = position
        assert [task.number for task in work.at_its_end()] == blamed


def test_the_others_wait_again_before_all_else():
    schedule, tasks = schedule_of(6)
    work = schedule.next_work([])
    schedule.put_back(task for task in work.tasks if task is not tasks[1])
    assert numbers(schedule.next_work([]), schedule.next_work([])) == [[0, 2, 3, 4], [5]]


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_how_often_a_picture_is_tried(tries):
    schedule, (task,) = schedule_of(1)
    schedule.next_work([])
    for _ in range(tries - 1):
        assert schedule.blame(task, tries, "why") == []
        work = schedule.next_work([])
        assert (numbers(work), work.suspect) == ([[0]], True)
    assert schedule.blame(task, tries, "why") == [task]
    assert schedule.reason_against(task) == "why"


def test_a_content_is_given_up_once_with_all_that_have_it():
    schedule, (first, second, third, other) = schedule_of(4)
    schedule.next_work([])
    second.sha256 = third.sha256 = first.sha256
    for task in (first, other):
        suspect(schedule, task)
    third.later = True
    schedule.put_back([third])
    assert schedule.blame(second, 2, "decode_timeout") == [second, third, first]
    assert {schedule.reason_against(task) for task in (first, second, third)} == {"decode_timeout"}
    assert schedule.reason_against(other) == ""
    assert numbers(schedule.next_work([])) == [[3]]


def test_a_suspect_that_is_good_after_all_frees_those_of_the_same_content():
    schedule, (first, second) = schedule_of(2)
    schedule.next_work([])
    second.sha256 = first.sha256
    suspect(schedule, first)
    again = schedule.next_work([])
    schedule.put_back([second])
    again.position = 0
    assert numbers(again) == [[0]]
    assert schedule.next_exclusive_task([again]) is None
    schedule.acquit(first)
    work = schedule.next_work([])
    assert (numbers(work), work.suspect) == ([[1]], False)
    assert schedule.blame(second, 2, "decoder_crashed") == []


def test_while_others_wait_one_suspect_at_a_time_holds_a_process_up():
    schedule, tasks = schedule_of(12)
    for _ in range(2):
        schedule.next_work([])
    for task in tasks[:2]:
        suspect(schedule, task)
    first = schedule.next_work([])
    second = schedule.next_work([first])
    assert numbers(first, second) == [[0], [8, 9, 10, 11]]
    assert numbers(schedule.next_work([first, second])) == [[1]]


def test_a_suspect_waits_while_its_content_is_decoded_elsewhere():
    schedule, tasks = schedule_of(4)
    elsewhere = schedule.next_work([])
    elsewhere.position = 3
    copy = Task(4, Candidate("copy.jpg"), sha256=tasks[3].sha256)
    suspect(schedule, copy)
    assert schedule.next_exclusive_task([elsewhere]) is None
    assert schedule.next_exclusive_task([]) is copy


def test_a_content_that_ended_a_process_is_left_to_a_process_of_its_own():
    schedule, tasks = schedule_of(2)
    copy = Task(2, Candidate("copy.jpg"), sha256=tasks[0].sha256)
    work = schedule.next_work([])
    assert not schedule.is_wary
    suspect(schedule, copy)
    assert schedule.is_wary
    assert schedule.is_too_early(tasks[0], work)
    assert not schedule.is_too_early(tasks[1], work)
    assert not schedule.is_too_early(copy, schedule.next_work([]))


def test_large_pictures_wait_for_room_and_the_largest_for_all_of_it():
    schedule, tasks = schedule_of(3)
    schedule.next_work([])
    for task, pixels in zip(tasks, (600, 300, 5000), strict=True):
        schedule.postpone(task, pixels)
    first = schedule.next_work([])
    second = schedule.next_work([first])
    assert numbers(first, second) == [[0], [1]]
    assert schedule.next_exclusive_task([first, second]) is None
    assert schedule.next_exclusive_task([second]) is None
    assert numbers(schedule.next_work([])) == [[2]]


def test_a_large_picture_whose_process_was_killed_waits_for_room_again():
    schedule, (task,) = schedule_of(1)
    schedule.next_work([])
    schedule.postpone(task, 5000)
    schedule.next_work([])
    assert schedule.blame(task, 3, "out_of_memory") == []
    assert schedule.next_exclusive_task([Work((Task(9, Candidate("other.jpg"), pixels=10),))]) is None
    assert schedule.next_work([]).pixels == 5000
