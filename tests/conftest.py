"""What every test may ask for: the example pictures, the face finder, and the picture sets if this machine has them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from scanner.detector.card import Card, InputSpec, OutputSpec
from scanner.detector.model import Detector
from scanner.faces.finder import FaceFinder
from scanner.imaging.decode import Picture, decode

# A test run that somebody started with nohup has SIGHUP ignored, and so would have every scan that the tests start.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Marks of all tests of a file or folder, by its path below tests/.
MARKS = {"train/": "train", "test_report_in_browser.py": "browser", "test_ray_engine.py": "ray"}

# Tests scan with the small detector unless they name another one: the default takes twelve times as long a face.
os.environ["FACESCAN_MODEL"] = "fast"

EXAMPLES = Path(__file__).parent.parent / "examples" / "pictures"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave tests of training unread where their mark is not wanted: reading them imports TensorFlow."""
    wanted = "not train" not in config.getoption("markexpr")
    return None if wanted or collection_path != Path(__file__).parent / "train" else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of files that need TensorFlow, a browser or Ray."""
    here = Path(__file__).parent
    for item in items:
        path = item.path.relative_to(here).as_posix()
        for start, mark in MARKS.items():
            if path.startswith(start):
                item.add_marker(mark)


def load(file: Path) -> Picture:
    """The picture in a file that must be one."""
    decoded = decode(file.read_bytes())
    assert decoded.picture is not None, f"{file.name}: {decoded.reason}"
    return decoded.picture


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees what another one found, or touches the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("FACESCAN_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of the example pictures."""
    return EXAMPLES


@pytest.fixture(scope="session")
def astronaut() -> Picture:
    """512 x 512, one face of about 90 x 112 pixels at (179, 63)."""
    return load(EXAMPLES / "real_astronaut.jpg")


@pytest.fixture(scope="session")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="session")
def brightness(toy) -> Detector:
    """Of whole pictures: p_fake is how bright they are."""
    return Detector(toy)


@pytest.fixture(scope="session")
def face_brightness(toy_for_faces) -> Detector:
    """The same of faces."""
    return Detector(toy_for_faces)


@pytest.fixture(scope="session")
def picture_sets() -> Path:
    """The folder that holds faces/, scenes/ and no_face/: too large, and not ours, to lie in the repository."""
    folder = os.environ.get("FACESCAN_DATA")
    if not folder:
        pytest.skip("FACESCAN_DATA is not set: the path of the folder that holds faces/, scenes/ and no_face/")
    return Path(folder)


# Of `write_toy`.
TOY_CARD = Card(
    schema=1,
    name="toy",
    version="1",
    task="general",
    labels=("real", "fake"),
    fake=1,
    inputs=(InputSpec("picture", (32, 32)),),
    output=OutputSpec("p", "sigmoid"),
    source="image",
    calibration=(1.0, 0.0),
    operating_points={"0.05": 0.7, "0.01": 0.9},
    uncertain=(0.4, 0.6),
)


def write_toy(path: Path, source: str = "image", ela: bool = False) -> Path:
    """A detector that anyone can predict: p_fake is the mean brightness, 0 to 1.

    Uncertain from 0.4, fake from 0.6. A wholly black picture makes it answer "not a number". With `ela` it has a second
    input, the Error Level Analysis map, and p_fake is the mean of the two brightnesses.
    """
    names = ["picture", "ela"] if ela else ["picture"]
    nodes = [helper.make_node("ReduceMean", [name], [f"mean_{name}"], axes=[1, 2, 3], keepdims=0) for name in names]
    nodes += [
        helper.make_node("Sum", [f"mean_{name}" for name in names], ["sum"]),
        helper.make_node("Mul", ["sum", "share"], ["mean"]),
        helper.make_node("Log", ["mean_picture"], ["log"]),
        helper.make_node("Mul", ["log", "zero"], ["nothing"]),  # 0 * -inf is not a number
        helper.make_node("Add", ["mean", "nothing"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "axis"], ["p"]),
    ]
    constants = {"share": np.float32(1 / len(names)), "zero": np.float32(0), "axis": np.array([1])}
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 32, 32, 3]) for name in names],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    inputs = tuple(InputSpec(name, (32, 32), content=name) for name in names)
    described = replace(TOY_CARD, inputs=inputs, source=source)
    helper.set_model_props(model, described.to_metadata())
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`write_toy` for whole pictures."""
    return write_toy(tmp_path_factory.mktemp("models") / "toy.onnx")


@pytest.fixture(scope="session")
def toy_for_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`write_toy` for faces."""
    return write_toy(tmp_path_factory.mktemp("models") / "toy.onnx", source="face")


@pytest.fixture(scope="session")
def s3() -> Iterator[Any]:
    """A client of an empty server on this machine; the environment says where that is."""
    pytest.importorskip("s3fs", reason="needs the extra cloud")
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "knows")
        import boto3

        yield boto3.client("s3")
    server.stop()


CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium of this machine, or playwright's own."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with sync_api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = next(filter(None, map(shutil.which, CHROMIUM)), own if os.path.exists(own) else None)
        if found is None:
            pytest.skip("no Chromium on the PATH, and none of playwright's (playwright install chromium)")
        root = ["--no-sandbox"] if sys.platform == "linux" and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=[*root, "--disable-gpu", "--disable-quic"])
        yield browser
        browser.close()


Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def facescan(tmp_path: Path) -> Run:
    """Run the command in `tmp_path` as a user would; keyword arguments are environment variables, and `stdin`."""

    def run(*arguments: str | Path, stdin: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "scanner", *arguments],
            cwd=tmp_path,
            env=clean_environment() | variables,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
        )

    return run


def clean_environment() -> dict[str, str]:
    """Our own environment without what changes how facescan behaves; the cache is that of the test."""
    ours = ("FACESCAN_", "_FACESCAN")
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(ours) and k not in ("CI", "NO_COLOR", "FORCE_COLOR")
    }
    return kept | {"FACESCAN_CACHE_DIR": os.environ["FACESCAN_CACHE_DIR"]}
