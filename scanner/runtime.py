"""ONNX Runtime sessions: devices, threads and silence, in one place."""

from __future__ import annotations

import os
import sys
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
    """Processors this process may use (affinity respected), at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
