"""A Ray cluster has the rows of one machine, whoever dies meanwhile. The cluster is two nodes on this machine."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from scanner.cli import main
from tests.conftest import clean_environment
from tests.pictures import encode, scene

try:
    import ray
except ImportError:
    ray = None

needs_ray = pytest.mark.skipif(ray is None, reason="needs the extra ray")

# Decoders do what the end of a file says. `actor` kills the process above the one that may crash.
FAULTS = """if True:
    import os, sys
    from importlib.abc import MetaPathFinder

    class Faulty(MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name == "scanner.engine.examine":
                sys.meta_path.remove(self)
                from scanner.imaging import decode as decoding
                decode = decoding.decode
                def faulty(data, *limits):
                    if data.endswith(b"abort"):
                        os.abort()
                    if data.endswith(b"killed"):
                        os.kill(os.getpid(), 9)
                    if data.endswith(b"actor"):
                        os.kill(os.getppid(), 9)
                    return decode(data, *limits)
                decoding.decode = faulty

    sys.meta_path.insert(0, Faulty())"""


class Node:
    """One machine of a cluster."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        call = [sys.executable, "-m", "ray.scripts.scripts", "start", *arguments, "--num-cpus=1", "--block"]
        self._process = subprocess.Popen(
            call, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if "will now block forever" in line:
                return
        raise AssertionError("".join(lines))

    def kill(self) -> None:
        """As a power cut would."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """Of nodes and drivers alike."""
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults" / "sitecustomize.py").write_text(FAULTS)
    return clean_environment() | {
        "PYTHONPATH": f"{tmp_path / 'faults'}{os.pathsep}{Path(__file__).parent.parent}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@pytest.fixture
def nodes(environment) -> Iterator[tuple[str, Node]]:
    """The address of the cluster, and its second node."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head = Node(environment, "--head", f"--port={port}", "--include-dashboard=false")
    try:
        second = Node(environment, f"--address=127.0.0.1:{port}")
        try:
            yield f"127.0.0.1:{port}", second
        finally:
            second.kill()
    finally:
        head.kill()


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "scanner", *map(str, arguments), "--exit-zero"]


@needs_ray
def test_a_cluster_that_loses_a_node_and_actors_has_the_rows_of_one_machine(s3, examples, environment, nodes, tmp_path):
    portraits = [file.read_bytes() for file in sorted(examples.glob("*.jpg"))]
    ends = {40: b"abort", 100: b"killed", 150: b"actor"}
    s3.create_bucket(Bucket="cluster")
    for i in range(240):
        content = portraits[i % len(portraits)] + ends.get(i, b"%d" % i)
        s3.put_object(Bucket="cluster", Key=f"{i:03}.jpg", Body=content)
    options = ["s3://cluster", "--no-cache", "-q", "--max-memory", "2G", "--timeout", "5"]
    alone = subprocess.run(
        command(*options, "--exclude", "150.jpg", "--out", "alone.jsonl"),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=True,
    )
    address, second = nodes
    call = command(*options, "--engine", "ray", "--ray-address", address, "--out", "rows.jsonl", "--out", "-")
    with subprocess.Popen(
        call, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as driver:
        partial = tmp_path / "rows.jsonl.partial"
        while not (partial.exists() and partial.stat().st_size):
            assert driver.poll() is None
            time.sleep(0.05)
        second.kill()
        table, said = driver.communicate(timeout=120)
    assert (driver.returncode, said, alone.stderr) == (0, b"", b"")
    rows = (tmp_path / "rows.jsonl").read_text().splitlines()
    (of_actor,) = [row for row in rows if "150.jpg" in row]
    assert json.loads(of_actor)["reason"] == "decoder_crashed"
    rows.remove(of_actor)
    assert rows == (tmp_path / "alone.jsonl").read_text().splitlines()
    reasons = {row["path"]: row["reason"] for row in map(json.loads, rows)}
    assert reasons["s3://cluster/040.jpg"] == "decoder_crashed"
    assert reasons["s3://cluster/100.jpg"] == "out_of_memory"
    assert table.count(b"\n") == 1 + 240  # and nothing that Ray had to say


@needs_ray
def test_without_a_cluster_there_is_one_on_this_machine(tmp_path, examples, toy):
    (tmp_path / "bad").mkdir()
    for name, content in {"empty.jpg": b"", "text.jpg": b"text", "cut.png": encode(scene(), "PNG")[:-200]}.items():
        (tmp_path / "bad" / name).write_bytes(content)
    options = [examples, "bad", "nowhere", "-", "--files-from", "list", "--model", toy, "--workers", "2", "--out", "-"]
    (tmp_path / "list").write_bytes(os.fsencode(f"{examples / 'real_astronaut.jpg'}\n"))
    picture = encode(scene(), "PNG")

    def scan(*more: str) -> tuple[bytes, dict[str, Any]]:
        call = command(*options, "-q", "--summary", "s.json", *more)
        done = subprocess.run(
            call, cwd=tmp_path, env=clean_environment(), input=picture, capture_output=True, check=True
        )
        assert done.stderr == b""
        return done.stdout, json.loads((tmp_path / "s.json").read_text())["summary"]

    here, _ = scan("--no-cache")
    there, first = scan("--engine", "ray")
    again, second = scan("--engine", "ray")
    assert here == there == again
    assert here.count(b"\n") == 1 + 9 + 3 + 3
    assert first["cached"] == 0
    assert second["cached"] >= 9


@needs_ray
def test_nobody_answers(tmp_path, capfd, monkeypatch, examples):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main([str(examples), "--engine", "ray", "--ray-address", address, "-q", "--out", "r.csv"]) == 2
    assert capfd.readouterr() == ("", f"facescan: no Ray cluster at {address}: Connection refused\n")
    assert not Path("r.csv").exists()


@needs_ray
def test_clusters_judge_on_processors(capfd, examples):
    assert main([str(examples), "--engine", "ray", "--device", "cuda"]) == 2
    assert capfd.readouterr().err == ("facescan: --engine ray runs on processors, not on GPUs; omit --device cuda\n")


def test_without_ray(monkeypatch, capfd, examples):
    monkeypatch.delitem(sys.modules, "scanner.engine.ray_workers", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([str(examples), "--engine", "ray"]) == 2
    assert capfd.readouterr() == ("", "facescan: --engine ray needs Ray: pip install 'ray[data]'\n")
