"""ONNX Runtime sessions: devices, threads and silence, in one place."""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

from scanner.errors import FacescanError, first_line
from scanner.quiet import stdout_to_stderr

ort.set_default_logger_severity(4)  # before the first session; nothing else silences its warnings

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


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
    return max(1, math.ceil(min(affinity, _quota(Path("/")))))


def _quota(root: Path) -> float:
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
    return ort.InferenceSession(model, _options(threads), providers=[CPU])


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
    trouble = None if device == "cpu" else _why_no_cuda()
    try:
        if device != "cpu" and trouble is None:
            with stdout_to_stderr():  # preload_dlls prints its troubles there
                ort.preload_dlls()
            session = ort.InferenceSession(model, _options(threads), providers=[CUDA, CPU])
            if session.get_providers()[0] == CUDA:  # the only answer that is true
                return session, Device(device, "cuda", CUDA)
            trouble = ("the CUDA libraries did not load", "pip install 'facescan[cuda]' brings them")
        if device == "cuda" and trouble is not None:
            raise FacescanError(f"--device cuda: {'; '.join(trouble)}; --device auto falls back to the CPU")
        return cpu_session(model, threads), Device(device, "cpu", CPU, trouble[0] if trouble else "")
    except FacescanError:
        raise
    except Exception as error:  # onnxruntime raises a different class for every kind of broken file
        raise FacescanError(f"{file}: onnxruntime cannot load it: {first_line(error)}") from error


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads fight the decoding threads for the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _why_no_cuda() -> tuple[str, str] | None:
    """What is missing and what helps; None if CUDA is worth trying, which costs half a second to find out."""
    if CUDA not in ort.get_available_providers():
        return "this onnxruntime has no CUDA provider", "pip uninstall onnxruntime, pip install onnxruntime-gpu"
    if sys.platform.startswith("linux") and not Path("/dev/nvidiactl").exists():
        return "no NVIDIA driver found (no /dev/nvidiactl)", "install the driver, or pass the GPU into the container"
    return None
