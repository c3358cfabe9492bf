"""How many processors there are for us, where a container allows fewer than the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from scanner.detector import runtime

V1 = "sys/fs/cgroup/cpu"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, math.inf),
        ({"proc/self/cgroup": "0::/\n"}, math.inf),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, math.inf),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/pod/box\n",
                "sys/fs/cgroup/pod/box/cpu.max": "max 100000\n",
                "sys/fs/cgroup/pod/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/cpu.max": "400000 100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/box\n4:cpu,cpuacct:/box\n0::/\n",
                f"{V1}/box/cpu.cfs_quota_us": "50000\n",
                f"{V1}/box/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/\n",
                f"{V1}/cpu.cfs_quota_us": "-1\n",
                f"{V1}/cpu.cfs_period_us": "100000\n",
            },
            math.inf,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense\n"}, math.inf),
    ],
)
def test_quota(tmp_path, files, quota):
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert runtime.cgroup_cpu_limit(tmp_path) == quota


@pytest.mark.parametrize(("quota", "count"), [(math.inf, 4), (9, 4), (2, 2), (1.5, 2), (0.1, 1)])
def test_the_container_may_allow_fewer(monkeypatch, quota, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5, 7}, raising=False)
    monkeypatch.setattr(
        runtime, "cgroup_cpu_limit", lambda root: quota if root == Path("/") else pytest.fail(str(root))
    )
    assert runtime.available_cpus() == count
