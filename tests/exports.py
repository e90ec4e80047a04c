"""What the tests of all exports share: a network for every activation, rows to try it on, and how close is close."""

import numpy as np

import mlpc
from mlpc._spec import HIDDEN_ACTIVATIONS

N_IN, N_OUT = 6, 5
DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 2e-6, "float64": 1e-12}

# Each activation in the hidden layer and at the output, and the two that are outputs only.
SETTINGS = {
    name: {"loss": "squared_error", "hidden_activation": name, "output_activation": name} for name in HIDDEN_ACTIVATIONS
}
SETTINGS |= {
    "softmax": {"loss": "categorical_cross_entropy", "hidden_activation": "tanh"},
    "exp": {"loss": "poisson", "hidden_activation": "gelu"},
    "no_biases": {"loss": "binary_cross_entropy", "hidden_activation": "softplus", "bias": False},
}


def make(case, dtype):
    """A network with biases that are not zero."""
    net = mlpc.Network([N_IN, 19, N_OUT], **SETTINGS[case], dtype=dtype, seed=1)
    rng = np.random.default_rng(2)
    for biases in net.biases:
        biases[:] = rng.normal(0.0, 0.2, len(biases))
    return net


def rows(dtype, n=100):
    return np.random.default_rng(0).normal(size=(n, N_IN)).astype(dtype)


def assert_agrees(got, expected, times=1.0):
    """Within the promised tolerance times the larger of 1 and what is expected."""
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    assert np.isfinite(got).all()
    difference = np.abs(got.astype(np.float64) - expected) / np.maximum(1.0, np.abs(expected))
    assert difference.max() <= times * TOLERANCE[str(expected.dtype)], difference.max()
