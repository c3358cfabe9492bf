"""ONNX Runtime sessions: devices, threads and silence, in one place."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort
from onnxruntime import RunOptions as RunOptions

from scanner.errors import FacescanError, first_line
from scanner.system.quiet import stdout_to_stderr

ort.set_default_logger_severity(4)  # before the first session; nothing else silences its warnings

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# All that models may hold at once on the CPU: 2 GB of weights, the most that a file can hold, and as much to compute.
MAX_MODEL_MEMORY = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model runs. `note` says why it is not the GPU, when one was wished for."""

    requested: str
    used: str
    provider: str
    note: str = ""


def available_cpus() -> int:
    """Processors this process may use, at least 1: those of its affinity, or what its container allows."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(affinity, cgroup_cpu_limit(Path("/")))))


def cgroup_cpu_limit(root: Path) -> float:
    """Processors' worth of time that control groups allow (Linux; version 2, and the first of version 1); or inf."""
    allowed = math.inf
    try:
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return allowed
    for number, controllers, path in groups:
        if number != "0" and "cpu" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("" if number == "0" else "cpu")
        group = base / path.lstrip("/")
        for folder in (group, *group.parents):  # every group above has its say, too
            with suppress(OSError, ValueError, ZeroDivisionError):
                if number == "0":
                    quota, period = (folder / "cpu.max").read_text().split()
                else:
                    quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
                if float(quota) > 0:  # "max" and -1 are no limit
                    allowed = min(allowed, float(quota) / float(period))
            if folder == base:
                break
    return allowed


def cpu_session(model: bytes, threads: int) -> ort.InferenceSession:
    """A session on the CPU with `threads` threads inside an operator."""
    options = _options(threads)
    options.add_session_config_entry("session.use_env_allocators", "1")  # the one with a limit
    return ort.InferenceSession(model, options, providers=[CPU])


@contextmanager
def deadline(seconds: float) -> Iterator[RunOptions]:
    """Options of runs that ONNX Runtime ends, between two operators, when the time is up.

    Raises:
        TimeoutError: it was.
    """
    options = RunOptions()
    timer = threading.Timer(seconds, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield options
    except Exception as error:
        if options.terminate:
            raise TimeoutError(f"no answer within {seconds:g} seconds") from error
        raise
    finally:
        timer.cancel()


def open_session(model: bytes, file: str, device: str, threads: int) -> tuple[ort.InferenceSession, Device]:
    """A session on the device asked for, and where it really runs.

    Args:
        model: the ONNX file's content.
        file: its name, for error messages.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads inside an operator.

    Raises:
        FacescanError: the file is no usable model, or ``cuda`` was asked for and cannot be had.
    """
    trouble = None if device == "cpu" else why_no_cuda()
    try:
        if device != "cpu" and trouble is None:
            with stdout_to_stderr():  # preload_dlls prints its troubles there
                ort.preload_dlls()
            session = ort.InferenceSession(model, _options(threads), providers=[CUDA, CPU])
            if session.get_providers()[0] == CUDA:  # the only answer that is true
                return session, Device(device, "cuda", CUDA)
            trouble = ("the CUDA libraries did not load", "pip install 'onnxruntime-gpu[cuda,cudnn]' brings them")
        if device == "cuda" and trouble is not None:
            raise FacescanError(f"--device cuda: {'; '.join(trouble)}; --device auto falls back to the CPU")
        return cpu_session(model, threads), Device(device, "cpu", CPU, trouble[0] if trouble else "")
    except FacescanError:
        raise
    except Exception as error:  # onnxruntime raises a different class for every kind of broken file
        what = first_line(error)
        raise FacescanError(f"{file}: onnxruntime cannot load it: {what}; onnx.checker may say more") from error


def _limit_memory() -> None:
    """The CPU's allocator of this process. A model that asks for more fails, where else it would have us killed."""
    cpu = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(cpu, ort.OrtArenaCfg(MAX_MODEL_MEMORY, -1, -1, -1))  # -1: as usual


_limit_memory()


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads fight the decoding threads for the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # its own format was not looked through
    return options


def why_no_cuda() -> tuple[str, str] | None:
    """What is missing and what helps; None if CUDA is worth trying, which costs half a second to find out."""
    if CUDA not in ort.get_available_providers():
        return "this onnxruntime has no CUDA provider", "pip uninstall onnxruntime, pip install onnxruntime-gpu"
    if sys.platform.startswith("linux") and not Path("/dev/nvidiactl").exists():
        return "no NVIDIA driver found (no /dev/nvidiactl)", "install the driver, or pass the GPU into the container"
    return None
