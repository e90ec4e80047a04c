"""Scalers folded into layers, and the hash that names a network."""

import hashlib
import json
import pickle
import struct

import numpy as np
import pytest
from conftest import fingerprint as everything

import mlpc

RNG = np.random.default_rng(0)
X = RNG.normal([50.0, -3.0, 0.01], [20.0, 0.5, 0.001], (40, 3))
Y = RNG.normal([1000.0, -2.0], [300.0, 0.1], (40, 2))
MEAN, SCALE = X.mean(axis=0), X.std(axis=0)
OUT_MEAN, OUT_SCALE = Y.mean(axis=0), Y.std(axis=0)


def trained(**settings):
    net = mlpc.Network([3, 5, 2], **{"loss": "squared_error", "hidden_activation": "tanh", "seed": 3, **settings})
    return net.fit((X - MEAN) / SCALE, (Y - OUT_MEAN) / OUT_SCALE, epochs=3)


# ---- Folding


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_folding_both_ends(dtype):
    net = trained(dtype=dtype)
    scaled = net.copy("float64").predict((X - MEAN) / SCALE)
    assert net.fold_input(MEAN, SCALE) is net
    assert net.fold_output(OUT_MEAN, OUT_SCALE) is net
    expected = scaled * OUT_SCALE + OUT_MEAN
    difference = np.abs(net.predict(X) - expected) / OUT_SCALE
    assert difference.max() < (2e-4 if dtype == "float32" else 1e-12)  # float32: 50 / 20 and 1000 / 300 have no more


def test_a_plateau_starts_afresh_after_folding():
    plateau = mlpc.ReduceOnPlateau("loss", factor=0.1, patience=0, min_delta=1e9)
    net = trained(optimizer=mlpc.SGD(0.1, schedule=plateau))
    assert net.history.learning_rate[-1] < 0.02
    net.fold_input(MEAN, SCALE).fit(X, Y, epochs=1, batch_size=None, on_divergence="warn")
    assert net.history.learning_rate[-1] == 0.1


def test_the_parameters_of_a_folded_network():
    net = mlpc.Network([2, 1], loss="squared_error")
    net.parameters = [3.0, 4.0, 5.0]  # W = (3, 4), b = 5
    net.fold_input([1.0, 2.0], [2.0, -0.5])
    assert net.parameters.tolist() == [1.5, -8.0, 5.0 - 1.5 + 16.0]
    net.fold_output(7.0, 10.0)
    assert net.parameters.tolist() == [15.0, -80.0, 202.0]


def test_one_number_for_all():
    net, again = trained(), trained()
    net.fold_input(2, 4).fold_output(np.float32(0.5), True)
    again.fold_input([2, 2, 2], [4, 4, 4]).fold_output([0.5, 0.5], np.ones(2, np.int8))
    assert net.parameters.tobytes() == again.parameters.tobytes()


def test_without_hidden_layers_and_without_biases():
    logistic = mlpc.Network([3, 1], loss="binary_cross_entropy", seed=0)
    before = logistic.predict_proba((X - MEAN) / SCALE)
    assert np.abs(logistic.fold_input(MEAN, SCALE).predict_proba(X) - before).max() < 1e-13
    net = trained(bias=False)
    before = net.predict(X / SCALE)
    net.fold_input(0.0, SCALE).fold_output([0.0, 0.0], 3.0)
    assert np.abs(net.predict(X) - 3.0 * before).max() < 1e-12


@pytest.mark.parametrize("optimizer", [mlpc.SGD(0.01, momentum=0.9), mlpc.Adam(), mlpc.Rprop(), mlpc.LBFGS()], ids=repr)
def test_the_optimizer_starts_afresh(optimizer):
    net = trained(optimizer=optimizer).fold_input(MEAN, SCALE)
    assert net.epoch == 3
    assert len(net.history.loss) == 3
    fresh = mlpc.Network([3, 5, 2], loss="squared_error", hidden_activation="tanh", optimizer=optimizer)
    fresh.parameters = net.parameters
    for one in (net, fresh):
        one.fit(X, Y, epochs=2, batch_size=None)
    assert net.parameters.tobytes() == fresh.parameters.tobytes()


def test_a_plateau_is_forgotten():
    schedule = mlpc.ReduceOnPlateau("loss", patience=0, factor=0.5)
    net = trained(optimizer=mlpc.SGD(1e-6, schedule=schedule)).fold_output(OUT_MEAN, OUT_SCALE)
    rate = net.history.learning_rate[-1]
    net.fit(X, Y, epochs=1)  # a loss a thousand times larger is no reason for a smaller rate yet
    net.fit(X, Y, epochs=1)
    assert net.history.learning_rate[-1] == rate


BAD = {
    "a zero": ({"scale": [1.0, 0.0]}, ValueError, "scale must not be zero"),
    "NaN": ({"mean": [0.0, np.nan]}, ValueError, "mean must be finite"),
    "infinity": ({"scale": np.inf}, ValueError, "scale must be finite"),
    "too many": (
        {"mean": [1.0, 2.0, 3.0]},
        ValueError,
        r"mean must be one number or one per \w+ \(2\), got shape \(3,\)",
    ),
    "a row": ({"mean": np.zeros((1, 2))}, ValueError, "mean must be one number"),
    "none": ({"mean": None}, TypeError, "mean must hold real numbers"),
    "text": ({"scale": "1"}, TypeError, "scale must hold real numbers"),
    "overflow": ({"mean": 1e308, "scale": 1e-300}, ValueError, "finite in float64"),
}


@pytest.mark.parametrize("fold", [mlpc.Network.fold_input, mlpc.Network.fold_output])
@pytest.mark.parametrize("case", BAD)
def test_bad_scalers(case, fold):
    wrong, error, message = BAD[case]
    if case == "overflow" and fold is mlpc.Network.fold_output:
        wrong = {"mean": 0.0, "scale": 1e308}
    net = mlpc.Network([2, 5, 2], loss="squared_error", seed=0)
    net.parameters *= 10
    net.fit(X[:, :2], X[:, :2], epochs=1)
    before = everything(net)
    with pytest.raises(error, match=message):
        fold(net, **{"mean": 0.0, "scale": 1.0, **wrong})
    assert everything(net) == before


def test_what_cannot_be_folded():
    net = trained(bias=False)
    before = everything(net)
    for fold in (net.fold_input, net.fold_output):
        with pytest.raises(ValueError, match="mean must be zero for a network without biases"):
            fold(1.0, 2.0)
    assert everything(net) == before
    for activation in ("softplus", "tanh"):
        with pytest.raises(ValueError, match=f"identity as output activation.*{activation}"):
            trained(output_activation=activation).fold_output(0.0, 1.0)


def test_folding_while_training():
    net = trained()
    with pytest.raises(RuntimeError):
        net.fit(X, Y, epochs=1, callbacks=lambda net, epoch, logs: net.fold_input(0.0, 2.0))
    net.fold_input(0.0, 2.0)


# ---- Fingerprint


def test_a_fingerprint_is_what_it_says():
    net = mlpc.Network(
        [3, 5, 2],
        loss=mlpc.Quantile([0.1, 0.9]),
        hidden_activation="elu",
        l2=0.1,
        dropout=0.25,
        dtype="float32",
        seed=0,
    )
    settings = {
        "layer_sizes": [3, 5, 2],
        "activations": ["elu", "identity"],
        "loss": "quantile",
        "loss_parameters": [0.1, 0.9],
        "reduction": "mean",
        "l1": 0.0,
        "l2": 0.1,
        "dropout": [0.25],
        "bias": True,
        "dtype": "float32",
    }
    text = json.dumps(settings, sort_keys=True).replace(" ", "")
    parameters = b"".join(struct.pack("<f", value) for value in net.parameters)
    assert net.fingerprint() == hashlib.sha256(text.encode() + parameters).hexdigest()


def test_a_fingerprint_is_the_same_everywhere():
    net = mlpc.Network([2, 2], loss="squared_error", l1=0.1)
    net.parameters = [0.1, -2.5, 1e-300, 3.0, -0.0, 1e300]
    assert net.fingerprint() == "725cdb4318ad28849d357b55f4f5f51a1371843d0f983cc5882ea193df229715"


def test_what_a_fingerprint_is_of(tmp_path):
    net = trained()
    name = net.fingerprint()
    net.save(tmp_path / "net")
    same = [net.copy(), pickle.loads(pickle.dumps(net)), mlpc.load(tmp_path / "net"), trained(initializer="zeros")]
    same[-1].parameters = net.parameters
    same[-1].optimizer = "sgd"
    assert {one.fingerprint() for one in same} == {name}
    other = [
        trained(**changed)
        for changed in (
            {"loss": "huber"},
            {"loss": mlpc.Huber(2.0)},
            {"hidden_activation": "relu"},
            {"output_activation": "softplus"},
            {"reduction": "sum"},
            {"l1": 1e-9},
            {"l2": 1e-9},
            {"dropout": 0.1},
        )
    ]
    for one in other:
        one.parameters = net.parameters
    other += [net.copy("float32"), trained().fit(X, Y, epochs=1)]
    names = {one.fingerprint() for one in other}
    assert len(names) == len(other)
    assert name not in names
    net.parameters[-1] = np.nextafter(net.parameters[-1], 1)
    assert net.fingerprint() != name
