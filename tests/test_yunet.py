"""The face finder's network: the same as OpenCV's own wrapper of it, one picture or several."""

from __future__ import annotations

import copy

import cv2
import numpy as np
import pytest

from scanner.faces.yunet import MODEL, YuNet
from tests.pictures import scene


@pytest.fixture(scope="module")
def network():
    return YuNet()


@pytest.mark.skipif(not hasattr(cv2, "FaceDetectorYN"), reason="this OpenCV has no FaceDetectorYN to compare with")
@pytest.mark.parametrize("size", [(512, 512), (320, 320), (300, 451), (640, 333)])
def test_opencv_runs_the_same_model_to_the_same_faces(network, astronaut, size):
    width, height = size
    picture = cv2.resize(astronaut, size, interpolation=cv2.INTER_AREA)
    reference = cv2.FaceDetectorYN.create(str(MODEL), "", (width, height), 0.6, 0.3)
    _, theirs = reference.detect(np.ascontiguousarray(picture[..., ::-1]))
    (ours,) = network.detect([picture], 0.6)
    assert len(ours.scores) == len(theirs) == 1
    assert ours.boxes[0] == pytest.approx(theirs[0, :4], abs=0.1)
    assert ours.points[0].ravel() == pytest.approx(theirs[0, 4:14], abs=0.1)
    assert ours.scores[0] == pytest.approx(theirs[0, -1], abs=0.01)


def test_several_pictures_at_once_are_seen_as_each_alone(network, astronaut):
    pictures = [astronaut, astronaut[:, ::-1], scene(512, 512), np.hstack([astronaut[:, ::2]] * 2)]
    for together, picture in zip(network.detect(pictures, 0.5), pictures, strict=True):
        (alone,) = network.detect([picture], 0.5)
        assert together.boxes == pytest.approx(alone.boxes, abs=0.01)
        assert together.scores == pytest.approx(alone.scores, abs=0.001)


def test_nothing_is_found_in_nothing(network):
    (seen,) = network.detect([np.zeros((40, 60, 3), np.uint8)], 0.5)
    assert (seen.boxes.shape, seen.scores.shape, seen.points.shape) == ((0, 4), (0,), (0, 5, 2))


def test_it_can_be_sent_to_another_process(network, astronaut):
    sent = copy.copy(network)  # by the same protocol as pickle's
    assert sent.detect([astronaut], 0.5)[0].boxes == pytest.approx(network.detect([astronaut], 0.5)[0].boxes)
