"""What several test files share: data that fits a loss, closeness of numbers, all that a network carries as bytes."""

import numpy as np

import mlpc

OPTIMIZERS = {
    "sgd": lambda **k: mlpc.SGD(0.05, **k),
    "nesterov": lambda **k: mlpc.SGD(0.05, momentum=0.9, nesterov=True, **k),
    "adam": lambda **k: mlpc.Adam(0.01, **k),
    "adamw": lambda **k: mlpc.AdamW(0.01, **k),
    "rmsprop": lambda **k: mlpc.RMSprop(0.01, momentum=0.5, **k),
}


def make_data(rng, n, n_in, n_out, loss):
    """X and a y that the loss accepts, both float64 (labels: int64)."""
    X = rng.normal(size=(n, n_in))
    if loss == "categorical_cross_entropy":
        return X, rng.integers(0, n_out, n)
    if loss == "binary_cross_entropy":
        return X, rng.random((n, n_out))
    if loss == "poisson":
        return X, rng.poisson(2.0, (n, n_out)).astype(np.float64)
    return X, rng.normal(size=(n, n_out))


def assert_close(got, expected, tolerance=1e-9):
    """Close as a whole and element by element, with a floor a thousandth of the largest element's share."""
    got, expected = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    assert got.shape == expected.shape
    assert np.isfinite(got).all()
    difference = np.abs(got - expected)
    if difference.size == 0:
        return
    assert np.linalg.norm(difference) <= tolerance * np.linalg.norm(expected) + 1e-300
    allowed = tolerance * (np.abs(expected) + 1e-3 * np.abs(expected).max()) + 1e-300
    assert (difference <= allowed).all(), f"worst: {(difference / allowed).max():.3g} times what is allowed"


def plain(value):
    """Nested containers, arrays, generators and settings as nested tuples that compare bit for bit."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, np.random.BitGenerator):
        return plain(value.state)
    if isinstance(value, np.random.Generator):
        return plain(value.bit_generator)
    if isinstance(value, dict):
        return tuple((str(key), plain(value[key])) for key in sorted(value, key=str))
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, float | np.floating):
        return np.float64(value).tobytes()
    return repr(value)


def fingerprint(net):
    """All that a network carries, comparable: parameters, optimizer and its state, counts, random state, history."""
    _, arguments, *state = net.__reduce_ex__(4)
    return plain((arguments, state, net.epoch, net.step, net.parameters, net.optimizer))


def columns(net):
    """The history's columns that every epoch has."""
    return {name: np.array(net.history[name]) for name in ("epochs", "loss", "validation_loss", "learning_rate")}


def circles(n=60, seed=0):
    """Two noisy circles: X (n, 2) and binary y (n,)."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    angle = rng.uniform(0, 2 * np.pi, n)
    radius = np.where(y == 1, 1.0, 3.0) + rng.normal(0, 0.05, n)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), y
