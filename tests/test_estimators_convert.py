"""Estimators around a network that is there, and scikit-learn's own with the weights of a fitted one."""

import pickle

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

import mlpc
from mlpc.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
LABELS = {"binary": (Y > 0) * 1, "softmax": Y, "softmax of two": (Y > 0) * 1, "sigmoids": np.eye(3, dtype=int)[Y]}


def network(n_outputs, loss, hidden=(5, 3), **settings):
    return mlpc.Network([4, *hidden, n_outputs], loss=loss, seed=0, **settings)


CLASSIFIERS = {
    "binary": network(1, "binary_cross_entropy", hidden_activation=["sigmoid", "tanh"]),
    "softmax": network(3, "categorical_cross_entropy", dropout=[0.1, 0.2], optimizer=mlpc.AdamW(0.02)),
    "softmax of two": network(2, "categorical_cross_entropy", hidden=(), dtype="float32"),
    "sigmoids": network(3, "binary_cross_entropy", reduction="sum", l1=0.1, l2=0.2),
}


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_a_classifier_around_a_network(case):
    net, y = CLASSIFIERS[case].copy(), LABELS[case]
    net.fit(X, y, epochs=30)
    names = None if case == "sigmoids" else np.array(["a", "b", "c"])[: y.max() + 1]
    model = MLPClassifier.from_network(net, names, batch_size=30)
    expected = net.predict(X) if names is None else names[net.predict(X)]
    np.testing.assert_array_equal(model.predict(X), expected)
    np.testing.assert_array_equal(model.predict_proba(X)[:, -1], net.predict_proba(X)[:, -1])
    assert model.score(X, expected) == 1.0
    assert model.classes_.tolist() == ([0, 1, 2] if names is None else names.tolist())
    assert (model.n_features_in_, model.n_outputs_, model.n_iter_) == (4, net.layer_sizes[-1], 30)
    settings = (model.hidden_layer_sizes, model.alpha, model.l1, model.dropout, model.solver, model.batch_size)
    own = (net.l2, net.l1, net.dropout, net.optimizer)
    assert settings == (net.layer_sizes[1:-1], *own, 30)
    assert model.network_ is not net
    assert not np.shares_memory(model.coefs_[0], net.weights[0])
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    fresh = clone(model)
    assert not hasattr(fresh, "network_")
    assert fresh.fit(X, expected).network_.layer_sizes == (net.layer_sizes if case != "softmax of two" else (4, 1))
    assert fresh.network_.hidden_activation == net.hidden_activation

    labels = y if names is None else names[y]
    model.partial_fit(X, labels).set_params(warm_start=True, max_iter=2, early_stopping=True).fit(X, labels)
    assert (model.network_.epoch, len(model.loss_curve_)) == (33, 3)


def test_partial_fit_goes_on_with_the_optimizers_state():
    net = network(3, "categorical_cross_entropy", optimizer=mlpc.AdamW(0.02)).fit(X, Y, epochs=3)
    model = MLPClassifier.from_network(net, batch_size=150, shuffle=False).partial_fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], net.partial_fit(X, Y).weights[0])


REGRESSORS = {
    "half": (network(1, "half_squared_error"), "squared_error"),
    "whole": (network(2, "squared_error", hidden=(6,), hidden_activation="gelu"), "squared_error"),
    "poisson": (network(1, "poisson"), "poisson"),
    "quantiles": (network(2, mlpc.Quantile([0.1, 0.9])), mlpc.Quantile([0.1, 0.9])),
    "bounds": (network(1, "huber", output_activation="sigmoid"), "huber"),
}


@pytest.mark.parametrize("case", REGRESSORS)
def test_a_regressor_around_a_network(case):
    net, loss = REGRESSORS[case]
    model = MLPRegressor.from_network(net)
    assert model.loss == loss
    assert model.output_activation == ("logistic" if case == "bounds" else None)
    np.testing.assert_array_equal(model.predict(X), net.predict(X))
    assert MLPRegressor.from_network(network(1, "huber", hidden=(), dropout=0.5)).dropout == 0.0
    y = X[:, :2] / 10 if case == "whole" else X[:, 0] / 10
    model.partial_fit(X, y)
    assert clone(model).fit(X, y).network_._spec == model.network_._spec


def test_half_a_chance_is_no_label():
    net = mlpc.Network([4, 1], loss="binary_cross_entropy", initializer="zeros")
    for model in (
        MLPClassifier.from_network(net, ["a", "b"]),
        MLPClassifier.from_network(net, ["a", "b"]).to_sklearn(),
    ):
        assert model.predict_proba(X[:1]).tolist() == [[0.5, 0.5]]
        assert model.predict(X[:1]).tolist() == ["a"]


def test_names_of_columns_go_along():
    frame = pytest.importorskip("pandas").DataFrame(X, columns=["a", "b", "c", "d"])
    model = MLPClassifier((4,), max_iter=3, random_state=0).fit(frame, LABELS["softmax"])
    theirs = model.to_sklearn()
    assert theirs.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(theirs.predict(frame), model.predict(frame))


def test_networks_that_no_estimator_has():
    cases = [
        (MLPClassifier, network(1, "huber"), {}, "net must have a cross-entropy as loss, got 'huber'"),
        (MLPRegressor, CLASSIFIERS["binary"], {}, "net must have no cross-entropy as loss"),
        (MLPRegressor, network(1, "huber", bias=False), {}, "net must have biases"),
        (MLPRegressor, network(1, "huber", l2=0.1), {}, r"alpha must be given .* reduction='mean': its l2=0.1 is not"),
        (MLPRegressor, network(1, "huber", l1=0.1), {}, r"l1 must be given .* its l1=0.1 is not"),
        (MLPRegressor, network(1, "huber"), {"activation": "tanh"}, "activation is read off the network, 'relu'"),
        (MLPRegressor, network(1, "huber"), {"loss": "huber"}, "loss is read off the network"),
        (
            MLPClassifier,
            CLASSIFIERS["softmax"],
            {"classes": ["a", "b"]},
            r"classes must be 3 values, one a label, got \['a', 'b'\]",
        ),
        (MLPClassifier, CLASSIFIERS["binary"], {"classes": [["a"], ["b"]]}, "classes must be 2 values, one a label"),
        (MLPClassifier, CLASSIFIERS["binary"], {"classes": ["b", "a"]}, r"in order, \['a', 'b'\], got \['b', 'a'\]"),
        (MLPClassifier, CLASSIFIERS["binary"], {"classes": [1, 1]}, r"distinct and in order, \[1\], got \[1, 1\]"),
        (MLPClassifier, CLASSIFIERS["sigmoids"], {"classes": [0, 1, 2]}, "classes must be None for several sigmoids"),
    ]
    for kind, net, arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            kind.from_network(net, **arguments)
    with pytest.raises(TypeError, match=r"net must be an mlpc\.Network"):
        MLPClassifier.from_network("net.safetensors")
    with pytest.raises(TypeError, match=r"classes must be names or numbers, got \[None, 1\]"):
        MLPClassifier.from_network(CLASSIFIERS["binary"], classes=[None, 1])
    assert MLPRegressor.from_network(network(1, "huber", l2=0.1), alpha=3.0).alpha == 3.0


@pytest.mark.parametrize("reduction", ["mean", "sum", "penalized_mean"])
@pytest.mark.parametrize("loss", ["squared_error", "half_squared_error"])
def test_penalties_weigh_as_much_as_the_networks(loss, reduction):
    net, y = network(1, loss, l1=0.3, l2=0.2, reduction=reduction, optimizer="sgd"), X[:, 0]
    given = {}
    if reduction == "mean":
        with pytest.raises(ValueError, match="alpha must be given") as caught:
            MLPRegressor.from_network(net)
        assert ("half the rows" in str(caught.value)) == (loss == "squared_error")
        rows = len(X) / (2 if loss == "squared_error" else 1)
        given = {"alpha": 0.2 * rows, "l1": 0.3 * rows}
    model = MLPRegressor.from_network(net, batch_size=len(X), shuffle=False, **given).partial_fit(X, y)
    steps = [(after - net.parameters) for after in (model.network_.parameters, net.copy().partial_fit(X, y).parameters)]
    np.testing.assert_allclose(*(step / np.linalg.norm(step) for step in steps), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("case", LABELS)
def test_a_classifier_as_scikit_learns(case, early_stopping):
    settings = {"early_stopping": early_stopping, "dropout": 0.1, "solver": mlpc.AdamW(0.01), "max_iter": 9}
    model = MLPClassifier((5, 4), "logistic", **settings, random_state=0).fit(X, LABELS[case])
    theirs = model.to_sklearn()
    assert type(theirs) is sklearn.neural_network.MLPClassifier
    np.testing.assert_allclose(theirs.predict_proba(X), model.predict_proba(X), rtol=1e-9)
    np.testing.assert_array_equal(theirs.predict(X), model.predict(X))
    for name in ("loss_curve_", "best_loss_", "validation_scores_", "t_", "n_iter_", "n_layers_", "out_activation_"):
        assert getattr(theirs, name) == getattr(model, name)
    assert (theirs.solver, theirs.max_iter) == ("adam", 9)
    model.coefs_[0][...] = 0
    assert np.all(theirs.coefs_[0])
    theirs.set_params(warm_start=True, tol=1e9, n_iter_no_change=10, max_iter=2).fit(X, LABELS[case])
    assert len(theirs.loss_curve_) == model.n_iter_ + 2


def test_a_softmax_of_two_as_scikit_learns():
    model = MLPClassifier.from_network(CLASSIFIERS["softmax of two"], [10, 20])  # no text: with it 1.7 fails below
    theirs = model.to_sklearn()
    np.testing.assert_allclose(theirs.predict_proba(X), model.predict_proba(X), rtol=1e-5)
    assert theirs.predict(X).tolist() == model.predict(X).tolist()
    y = np.array([10, 20])[LABELS["softmax of two"]]
    assert theirs.set_params(max_iter=50, warm_start=True, learning_rate_init=0.1).fit(X, y).score(X, y) > 0.9
    assert theirs.activation == "relu"  # what it says where there are no layers
    model.set_params(early_stopping=True, warm_start=True, max_iter=3, solver=mlpc.Adam(0.1)).fit(X, y)
    theirs = model.to_sklearn().set_params(learning_rate_init=1e-12)  # gets no better: the best weights come back
    np.testing.assert_allclose(theirs.fit(X, y).predict_proba(X), model.predict_proba(X), rtol=1e-5)


def test_a_regressor_as_scikit_learns():
    model = MLPRegressor(hidden_layer_sizes=(4,), activation="tanh", solver="lbfgs", random_state=0).fit(X, X[:, :2])
    theirs = model.to_sklearn()
    np.testing.assert_allclose(theirs.predict(X), model.predict(X), rtol=1e-9)
    assert (theirs.solver, theirs.activation, theirs.hidden_layer_sizes) == ("lbfgs", "tanh", (4,))
    theirs.set_params(solver="adam").partial_fit(X, X[:, :2])
    settings = {"solver": "adam", "early_stopping": True, "warm_start": True, "max_iter": 3}
    assert len(model.set_params(**settings).to_sklearn().fit(X, X[:, :2]).validation_scores_) == 3
    if "loss" in theirs.get_params():
        model = MLPRegressor("poisson", (4,), random_state=0).fit(X, Y)
        np.testing.assert_allclose(model.to_sklearn().predict(X), model.predict(X), rtol=1e-9)
        assert model.to_sklearn().loss == "poisson"


def test_what_scikit_learn_cannot_express():
    with pytest.raises(NotFittedError):
        MLPRegressor().to_sklearn()
    cases = [
        (network(1, "huber"), "MLPRegressor has no loss 'huber'"),
        (network(1, "squared_error", output_activation="tanh"), "no output activation 'tanh'"),
        (network(1, "squared_error", hidden_activation="gelu"), "one activation .* got .'gelu', 'gelu'"),
        (network(1, "squared_error", hidden_activation=["relu", "tanh"]), "got .'relu', 'tanh'"),
    ]
    for net, message in cases:
        with pytest.raises(ValueError, match=message):
            MLPRegressor.from_network(net).to_sklearn()
    model = MLPRegressor.from_network(network(1, "squared_error"))
    model.network_ = network(1, "squared_error", bias=False)
    with pytest.raises(ValueError, match="without biases"):
        model.to_sklearn()
