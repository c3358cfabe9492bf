"""Opens ONNX Runtime sessions: on which device, with how many threads, within which memory, and without warnings."""

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

ort.set_default_logger_severity(4)  # fatal errors only; must be set before the first session

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# Bytes that models may allocate on the CPU together: 2 GB of weights, the most that a file can hold, and as much again
# to compute with.
MAX_MODEL_MEMORY = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Device:
    """The device on which a model runs.

    Attributes:
        requested: `auto`, `cpu` or `cuda`.
        used: `cpu` or `cuda`.
        provider: ONNX Runtime's name for the device.
        note: why a requested GPU is not used; empty if it is, or if none was requested.
    """

    requested: str
    used: str
    provider: str
    note: str = ""


def available_cpus() -> int:
    """Count the processors that this process may use, at least 1: by its affinity and by the limit of its container."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(affinity, cgroup_cpu_limit(Path("/")))))


def cgroup_cpu_limit(root: Path) -> float:
    """Read how many processors' worth of time the control groups of this process allow (Linux, versions 1 and 2).

    Args:
        root: folder that contains `proc` and `sys`.

    Returns:
        Processors; infinity without a limit.
    """
    try:
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return math.inf
    limits = [math.inf]
    for number, controllers, path in groups:
        is_version_2 = number == "0"
        if not is_version_2 and "cpu" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("" if is_version_2 else "cpu")
        group = base / path.lstrip("/")
        for folder in (group, *group.parents):  # the limits of all groups around this one apply, too
            limits.append(_folder_cpu_limit(folder, is_version_2))
            if folder == base:
                break
    return min(limits)


def _folder_cpu_limit(folder: Path, is_version_2: bool) -> float:
    """Read the limit of one control group, in processors; infinity if it has none."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        if is_version_2:
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if float(quota) > 0:  # "max" raises ValueError, -1 means no limit
            return float(quota) / float(period)
    return math.inf


def cpu_session(model: bytes, threads: int) -> ort.InferenceSession:
    """Open a session on the CPU.

    Args:
        model: content of the ONNX file.
        threads: CPU threads inside an operator.
    """
    options = _options(threads)
    options.add_session_config_entry("session.use_env_allocators", "1")  # the allocator of `_limit_memory`
    return ort.InferenceSession(model, options, providers=[CPU])


@contextmanager
def deadline(seconds: float) -> Iterator[RunOptions]:
    """Yield options for runs that ONNX Runtime ends, between two operators, after some seconds.

    Raises:
        TimeoutError: the time was over before the runs were.
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
    """Open a session on the requested device, or on the CPU if `auto` finds no GPU.

    Args:
        model: content of the ONNX file.
        file: its name, for error messages.
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads inside an operator.

    Returns:
        The session, and the device on which it runs.

    Raises:
        FacescanError: the file is no usable model, or `cuda` was requested and is not available.
    """
    trouble = None if device == "cpu" else why_no_cuda()
    try:
        if device != "cpu" and trouble is None:
            with stdout_to_stderr():  # preload_dlls prints its errors
                ort.preload_dlls()
            session = ort.InferenceSession(model, _options(threads), providers=[CUDA, CPU])
            if session.get_providers()[0] == CUDA:  # other questions may be answered wrong
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
    """Limit the memory that models may allocate on the CPU, so that a larger model fails and the process lives."""
    cpu = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(cpu, ort.OrtArenaCfg(MAX_MODEL_MEMORY, -1, -1, -1))  # -1: as usual


_limit_memory()


def _options(threads: int) -> ort.SessionOptions:
    """Return options for a session with `threads` CPU threads inside an operator."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads fight the decoding threads for the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(
        "session.load_model_format", "ONNX"
    )  # `onnx_file` does not check ONNX Runtime's other format
    return options


def why_no_cuda() -> tuple[str, str] | None:
    """Return what is missing for CUDA, and what helps; None if CUDA is worth a try, which takes half a second."""
    if CUDA not in ort.get_available_providers():
        return "this onnxruntime has no CUDA provider", "pip uninstall onnxruntime, pip install onnxruntime-gpu"
    if sys.platform.startswith("linux") and not Path("/dev/nvidiactl").exists():
        return "no NVIDIA driver found (no /dev/nvidiactl)", "install the driver, or pass the GPU into the container"
    return None
