"""A fit that fails before its first epoch leaves the estimator as before; one that fails later keeps what it learnt."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

import mlpc
from mlpc.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
WRONG = np.where(np.arange(150) == 3, -1.0, 1.0)  # one row is negative


def fail_to_score(model, X, y):
    raise LookupError("no score")


# class, what is fitted with success, parameters and arguments that fail
CASES = {
    "weights": (MLPClassifier, {}, {}, {"sample_weight": WRONG}),
    "weights of lbfgs": (MLPClassifier, {"solver": "lbfgs"}, {}, {"sample_weight": WRONG}),
    "callbacks": (MLPClassifier, {}, {"callbacks": [3]}, {}),
    "callbacks of lbfgs": (MLPClassifier, {"solver": "lbfgs"}, {"callbacks": [3]}, {}),
    "nothing validated": (MLPClassifier, {}, {"solver": mlpc.Adam(schedule=mlpc.ReduceOnPlateau())}, {}),
    "nothing monitored": (MLPClassifier, {}, {"solver": mlpc.Adam(schedule=mlpc.ReduceOnPlateau("recall"))}, {}),
    "another solver": (MLPClassifier, {}, {"solver": "sgd"}, {"sample_weight": WRONG}),
    "another momentum": (
        MLPClassifier,
        {"solver": mlpc.SGD()},
        {"solver": mlpc.SGD(classic=True)},
        {"sample_weight": WRONG},
    ),
    "class weights": (MLPClassifier, {}, {"class_weight": {0: 0, 1: 0, 2: 0}}, {}),
    "activations": (MLPClassifier, {}, {"activation": ["relu", "tanh"]}, {}),
    "dropout": (MLPClassifier, {}, {"dropout": [0.1, 0.2]}, {}),
    "validation": (MLPClassifier, {}, {}, {"X_val": X, "y_val": Y[:9]}),
    "scorer": (MLPClassifier, {}, {"scoring": fail_to_score}, {"X_val": X, "y_val": Y}),
    "columns": (MLPClassifier, {}, {"early_stopping": True, "validation_fraction": 0.001}, {"y": Y + 5}),
    "other classes and weights": (MLPClassifier, {}, {}, {"y": Y + 5, "sample_weight": np.ones(3)}),
    "poisson": (MLPRegressor, {"loss": "poisson"}, {}, {"y": WRONG}),
    "poisson of lbfgs": (MLPRegressor, {"loss": "poisson", "solver": "lbfgs"}, {}, {"y": WRONG}),
}


def fitted_state(model):
    """Everything that fits set, in a form that compares."""
    state = {name: value for name, value in vars(model).items() if name not in model.get_params()}
    network = state.pop("network_")
    state.pop("_label_binarizer", None)
    core = network.parameters, network.epoch, network.step, repr(network.optimizer), network.history.to_frame()
    return repr((state, *core)), network.copy().fit(X, Y if network.loss == "categorical_cross_entropy" else Y + 1.0)


def failing(model, method, parameters, arguments):
    model.set_params(**parameters)
    with pytest.raises((ValueError, TypeError, LookupError)):
        getattr(model, method)(**({"X": X, "y": Y} | arguments))


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_fit_that_fails_changes_nothing(case, warm_start):
    kind, settings, parameters, arguments = CASES[case]
    settings = {"hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0, "warm_start": warm_start} | settings
    model = kind(**settings)
    failing(model, "fit", parameters, arguments)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    assert vars(model).keys() == model.get_params(deep=False).keys()

    model = kind(**settings).fit(X, Y)
    state, went_on = fitted_state(model)
    network, predicted, before = model.network_, model.predict(X), model.get_params()
    failing(model, "fit", parameters, arguments)
    again, goes_on = fitted_state(model.set_params(**before))
    assert again == state
    assert model.network_ is network
    np.testing.assert_array_equal(model.predict(X), predicted)
    np.testing.assert_array_equal(goes_on.parameters, went_on.parameters)  # the optimizer's state too
    reference = kind(**settings).fit(X, Y).fit(X, Y)
    np.testing.assert_array_equal(model.fit(X, Y).coefs_[0], reference.coefs_[0])


@pytest.mark.parametrize(
    "case",
    [
        "weights",
        "callbacks",
        "nothing validated",
        "nothing monitored",
        "another solver",
        "another momentum",
        "class weights",
    ],
)
def test_a_partial_fit_that_fails_changes_nothing(case):
    kind, settings, parameters, arguments = CASES[case]
    model = kind((4,), random_state=0, **settings)
    failing(model, "partial_fit", parameters, arguments | {"classes": [0, 1, 2]})
    assert vars(model).keys() == model.get_params(deep=False).keys()
    model = kind((4,), random_state=0, **settings)
    for _ in range(3):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    state, went_on = fitted_state(model)
    before = model.get_params()
    failing(model, "partial_fit", parameters, arguments)
    again, goes_on = fitted_state(model.set_params(**before))
    assert again == state
    np.testing.assert_array_equal(goes_on.parameters, went_on.parameters)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_that_fails_keeps_what_was_learnt(solver):
    def fail(net, epoch, logs):
        if epoch == 3:
            raise LookupError("of the callback")

    model = MLPClassifier((4,), solver=solver, callbacks=fail, random_state=0)
    with pytest.raises(LookupError, match="of the callback"):
        model.fit(X, Y)
    reference = clone(model).set_params(callbacks=(), max_iter=3).fit(X, Y)
    assert model.n_iter_ == 3
    np.testing.assert_array_equal(model.coefs_[0], reference.coefs_[0])


@pytest.mark.parametrize("early_stopping", [False, True])
def test_what_fails_is_not_taken_for_divergence(early_stopping):
    """A FloatingPointError of the caller's own; and the schedule that a fit makes for itself does not outlive it."""

    def fail(net, epoch, logs):
        if epoch == 2:
            raise FloatingPointError("of the callback")

    settings = {"learning_rate": "adaptive", "early_stopping": early_stopping, "callbacks": fail, "random_state": 0}
    model = MLPClassifier((4,), solver="sgd", **settings)
    with pytest.raises(FloatingPointError, match="of the callback"):
        model.fit(X, Y)
    assert model.network_.optimizer.schedule is None
