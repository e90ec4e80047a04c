"""`predict` under the cross-entropies: labels from probabilities, by every set of kernels and any number of threads."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mlpc
from mlpc import _core

DTYPES = ["float32", "float64"]
CLASSES = [1, 2, 3, 7, 16, 31, 32, 33, 47, 64, 65, 100, 1000]  # from 32 on they are taken by rows


def passing_on(loss, n_outputs, dtype):
    """A network whose z is its input."""
    net = mlpc.Network([n_outputs, n_outputs], loss=loss, bias=False, dtype=dtype, seed=0)
    net.weights[0][...] = np.eye(n_outputs)
    return net


def check_classes(n_classes, dtype, n_rows):
    """Whole numbers are often as large as each other: the first one counts."""
    net = passing_on("categorical_cross_entropy", n_classes, dtype)
    X = np.random.default_rng(n_rows).integers(-3, 4, (n_rows, n_classes)).astype(dtype)
    X[n_rows // 2, -1] = 9  # the last class, and alone
    probabilities = net.predict_proba(X)
    largest = probabilities == probabilities.max(axis=1, keepdims=True)
    assert n_classes == 1 or n_rows < 300 or (largest.sum(axis=1) > 1).any()
    labels = net.predict(X)
    assert (labels.dtype, labels.shape) == (np.int64, (n_rows,))
    assert labels[n_rows // 2] == n_classes - 1
    np.testing.assert_array_equal(labels, probabilities.argmax(axis=1))


def check_thresholds(n_outputs, dtype, n_rows):
    """A threshold is a float64, whatever the outputs are: the least that lies above one is not reached by it."""
    net = passing_on("binary_cross_entropy", n_outputs, dtype)
    X = np.random.default_rng(n_rows).normal(size=(n_rows, n_outputs)).astype(dtype)
    probabilities = net.predict_proba(X).astype(np.float64)
    for row in {0, n_rows // 2, n_rows - 1}:
        for thresholds in (
            probabilities[row],
            np.nextafter(probabilities[row], 1),
            np.nextafter(probabilities[row], 0),
        ):
            labels = net.predict(X, threshold=thresholds).reshape(n_rows, n_outputs)
            np.testing.assert_array_equal(labels, probabilities >= thresholds)
    assert net.predict(X, threshold=0.0).all()
    assert not net.predict(X, threshold=1.0).any()


def check_nan(loss, n_outputs, dtype, n_rows):
    """The first row with a NaN is named, whichever thread finds one."""
    net = passing_on(loss, n_outputs, dtype)
    X = np.zeros((n_rows, n_outputs), dtype)
    for first in {0, n_rows // 3, n_rows - 1}:
        bad = X.copy()
        bad[first, -1] = bad[n_rows - 1, 0] = np.nan
        with pytest.raises(ValueError, match=rf"^X\[{first}\] has outputs that are nan"):
            net.predict(bad)


def check_all():
    for dtype in DTYPES:
        for n_rows in (1, 2, 17, 300, 1500):
            for n_outputs in CLASSES:
                check_classes(n_outputs, dtype, n_rows)
                check_nan("categorical_cross_entropy", n_outputs, dtype, n_rows)
            for n_outputs in (1, 2, 5, 40):
                check_thresholds(n_outputs, dtype, n_rows)
                check_nan("binary_cross_entropy", n_outputs, dtype, n_rows)


@pytest.mark.parametrize("n_threads", ["1", "3"])
@pytest.mark.parametrize("kernels", _core.KERNELS)
def test_labels(kernels, n_threads):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import test_labels; test_labels.check_all()"],
        env=os.environ | {"MLPC_ISA": kernels, "MLPC_NUM_THREADS": n_threads, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_rows_past_the_last_one_are_not_looked_at():
    """They are what an earlier call left there."""
    for n_outputs, loss in (
        (3, "categorical_cross_entropy"),
        (3, "binary_cross_entropy"),
        (40, "binary_cross_entropy"),
    ):
        net = passing_on(loss, n_outputs, "float64")
        with pytest.raises(ValueError, match=r"X\[0\]"):
            net.predict(np.full((512, n_outputs), np.nan))
        net.predict(np.zeros((3, n_outputs)))


def test_labels_of_hidden_layers_and_other_losses():
    X = np.random.default_rng(0).normal(size=(50, 4))
    for loss, n_outputs in (("categorical_cross_entropy", 3), ("categorical_cross_entropy", 50)):
        for hidden in ([], [3], [30], [5, 40]):
            net = mlpc.Network([4, *hidden, n_outputs], loss=loss, seed=0)
            np.testing.assert_array_equal(net.predict(X), net.predict_proba(X).argmax(axis=1))
    net = mlpc.Network([4, 5, 2], loss="poisson", seed=0)
    np.testing.assert_array_equal(net.predict(X), net.predict_proba(X))
