"""The estimators beside scikit-learn's: the same run from the same random state, and the ways a fit goes on or ends.

Not here: what they have on top (test_estimators_extras.py), scikit-learn's own checks and tests
(test_estimators_checks.py, test_estimators_swapped.py), fits that fail (test_estimators_failure.py)."""

import inspect
import pickle

import numpy as np
import pytest
import scipy.sparse
import sklearn
import sklearn.neural_network
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.fixes import parse_version

import mlpc
import mlpc.estimators

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = load_iris(return_X_y=True)
DIGITS = tuple(array[:700] for array in load_digits(return_X_y=True))
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(430, 6))
CURVE = TABLE[:, 0] * TABLE[:, 1] + 0.1 * RNG.normal(size=430)
WEIGHTS = RNG.uniform(0.1, 2.0, 430)
WITH_WEIGHTS = "sample_weight" in inspect.signature(sklearn.neural_network.MLPRegressor.fit).parameters

# name -> (class, X, y, parameters)
CASES = {
    "full batch": ("MLPClassifier", *IRIS, {}),
    "batches": ("MLPClassifier", *DIGITS, {}),
    "short last batch": ("MLPClassifier", *DIGITS, {"batch_size": 37, "activation": "tanh"}),
    "in order": ("MLPClassifier", *DIGITS, {"shuffle": False, "hidden_layer_sizes": ()}),
    "binary": (
        "MLPClassifier",
        TABLE,
        CURVE > 0,
        {"alpha": 1.0, "hidden_layer_sizes": [9, 5], "activation": "logistic"},
    ),
    "multi-label": ("MLPClassifier", TABLE, TABLE[:, :3] > 0, {"early_stopping": True}),
    "stratified": ("MLPClassifier", TABLE, CURVE > 1, {"early_stopping": True, "validation_fraction": 0.3}),
    "not scaled": ("MLPClassifier", *load_breast_cancer(return_X_y=True), {"random_state": 1}),  # saturated sigmoids
    "few units": ("MLPClassifier", 1000 * TABLE[:, :2], CURVE > 0, {"hidden_layer_sizes": 3}),  # these, too
    "many classes": ("MLPClassifier", TABLE, np.arange(430) % 43, {}),
    "few samples": ("MLPClassifier", *IRIS, {"batch_size": 3, "alpha": 0.01}),
    "sparse": ("MLPRegressor", scipy.sparse.csr_matrix(TABLE * (TABLE > 0.5)), CURVE, {"early_stopping": True}),
    "sparse by columns": ("MLPClassifier", scipy.sparse.csc_array(DIGITS[0]), DIGITS[1], {}),
    "regression": ("MLPRegressor", TABLE, CURVE, {"activation": "identity"}),
    "held out": ("MLPRegressor", TABLE, CURVE, {"early_stopping": True, "n_iter_no_change": 2, "tol": 0.1}),
    "patience": ("MLPRegressor", TABLE, CURVE, {"n_iter_no_change": 2, "tol": 0.1}),
}
SGD_CASES = {
    "no momentum": ("MLPClassifier", *IRIS, {"momentum": 0.0, "learning_rate_init": 0.1}),
    "plain momentum": ("MLPClassifier", *DIGITS, {"nesterovs_momentum": False, "momentum": 0.5}),
    "whole momentum": ("MLPClassifier", *DIGITS, {"momentum": 1.0}),
    "whole plain momentum": ("MLPRegressor", TABLE, CURVE, {"momentum": 1, "nesterovs_momentum": False}),
    "invscaling": (
        "MLPClassifier",
        *DIGITS,
        {"learning_rate": "invscaling", "learning_rate_init": 0.1, "power_t": 0.3},
    ),
    "adaptive": ("MLPClassifier", *DIGITS, {"learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 2}),
    "adaptive to the end": (
        "MLPClassifier",
        *IRIS,
        {"learning_rate": "adaptive", "learning_rate_init": 1e-6, "tol": 1.0, "n_iter_no_change": 2},
    ),
}
ADAM_CASES = {"moments": ("MLPRegressor", TABLE, CURVE, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3})}
if parse_version(sklearn.__version__) >= parse_version("1.9"):  # earlier ones cannot score labels of text
    text = np.array(["no", "yes"])[(CURVE > 0) * 1]
    CASES["labels of text"] = ("MLPClassifier", TABLE, text, {"early_stopping": True})
if WITH_WEIGHTS:
    CASES["weights"] = ("MLPRegressor", TABLE, CURVE, {"sample_weight": WEIGHTS})
    CASES["weights held out"] = (
        "MLPClassifier",
        TABLE,
        CURVE > 0,
        {"sample_weight": WEIGHTS, "early_stopping": True, "batch_size": 50},
    )
    CASES["poisson"] = ("MLPRegressor", TABLE, np.round(np.exp(CURVE)), {"loss": "poisson"})


def both(kind, **parameters):
    return [getattr(module, kind)(**parameters) for module in (sklearn.neural_network, mlpc.estimators)]


def assert_same_run(theirs, ours, tolerance=1e-9):
    assert (ours.n_iter_, ours.t_, ours.n_layers_, ours.n_outputs_) == (
        theirs.n_iter_,
        theirs.t_,
        theirs.n_layers_,
        theirs.n_outputs_,
    )
    assert ours.out_activation_ == theirs.out_activation_
    assert isinstance(ours.loss_curve_, list)
    for name in ("loss_curve_", "loss_", "best_loss_", "validation_scores_", "best_validation_score_"):
        expected, got = getattr(theirs, name), getattr(ours, name)
        assert type(got) is type(expected), name
        assert (expected is None) == (got is None), name
        if expected is not None:
            np.testing.assert_allclose(got, expected, rtol=tolerance, err_msg=name)
    for expected, got in zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)


def assert_runs_alike(kind, X, y, solver, parameters):
    parameters = dict(parameters)
    weight = {name: parameters.pop(name) for name in ("sample_weight",) if name in parameters}
    theirs, ours = both(kind, **({"max_iter": 10, "random_state": 3, "solver": solver} | parameters))
    theirs.fit(X, y, **weight)
    ours.fit(X, y, **weight)
    assert_same_run(theirs, ours)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X)) if kind == "MLPClassifier" else None


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("case", CASES)
def test_the_same_run(case, solver):
    kind, X, y, parameters = CASES[case]
    assert_runs_alike(kind, X, y, solver, parameters)


@pytest.mark.parametrize("case", SGD_CASES)
def test_the_same_run_of_sgd(case):
    kind, X, y, parameters = SGD_CASES[case]
    assert_runs_alike(kind, X, y, "sgd", parameters)


@pytest.mark.parametrize("case", ADAM_CASES)
def test_the_same_run_of_adam(case):
    kind, X, y, parameters = ADAM_CASES[case]
    assert_runs_alike(kind, X, y, "adam", parameters)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_random_state_is_left_where_scikit_learn_leaves_it(early_stopping):
    states = [np.random.RandomState(8), np.random.RandomState(8)]
    for data in (IRIS, DIGITS):
        models = both("MLPClassifier", max_iter=3, early_stopping=early_stopping)
        for model, state in zip(models, states, strict=True):
            model.set_params(random_state=state).fit(*data)
        assert_same_run(*models)
        assert states[0].randint(2**31) == states[1].randint(2**31)


def test_the_global_random_state():
    models = both("MLPClassifier", max_iter=3)
    following = []
    for model in models:
        np.random.seed(4)  # noqa: NPY002
        model.fit(*DIGITS)
        following.append(np.random.rand())  # noqa: NPY002
    assert_same_run(*models)
    assert following[0] == following[1]


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_partial_fit_goes_on(learning_rate):
    models = both(
        "MLPClassifier", solver="sgd", learning_rate=learning_rate, random_state=0, tol=1.0, n_iter_no_change=1
    )
    X, y = DIGITS
    for first in range(0, 600, 100):
        for model in models:
            model.partial_fit(X[first : first + 100], y[first : first + 100], classes=np.arange(10))
            model.set_params(batch_size=30)
        models[1] = pickle.loads(pickle.dumps(models[1]))
        assert_same_run(*models)
    assert models[1].network_.epoch == 6
    for model in models:
        model.set_params(learning_rate_init=0.1).fit(X, y).partial_fit(X, y)  # begins anew, then goes on
    assert len(models[1].loss_curve_) == len(models[0].loss_curve_)
    assert_same_run(*models)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_warm_start_goes_on(solver):
    models = both(
        "MLPRegressor", solver=solver, warm_start=True, random_state=1, max_iter=4, learning_rate="invscaling"
    )
    for alpha in (0.0, 1e-3, 10.0):  # the network takes up what was set since
        for model in models:
            model.set_params(alpha=alpha).fit(TABLE, CURVE)
        assert_same_run(*models)
    assert len(models[1].loss_curve_) == 12
    np.testing.assert_allclose(models[1].network_.history["loss"], models[1].loss_curve_)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_printed_text(capsys, early_stopping):
    printed = []
    for model in both(
        "MLPClassifier",
        solver="sgd",
        learning_rate="adaptive",
        tol=0.5,
        n_iter_no_change=1,
        learning_rate_init=1e-3,
        verbose=True,
        early_stopping=early_stopping,
        random_state=0,
        max_iter=100,
    ):
        model.fit(*IRIS)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "Setting learning rate" in printed[1]
    assert "too small. Stopping." in printed[1]


def test_lbfgs_descends_the_same_objective():
    for kind, X, y in (("MLPClassifier", *IRIS), ("MLPRegressor", TABLE, CURVE)):
        theirs, ours = (m.fit(X, y) for m in both(kind, solver="lbfgs", alpha=0.5, random_state=2, max_iter=12))
        assert ours.n_iter_ == theirs.n_iter_ == 12
        np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-6)
        assert not hasattr(ours, "loss_curve_")
        for expected, got in zip(theirs.coefs_, ours.coefs_, strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-3)
        np.testing.assert_allclose(ours.network_.objective(X, y), ours.loss_, rtol=1e-12)


def test_warnings_are_scikit_learns():
    texts = []
    for model in both("MLPClassifier", max_iter=2, batch_size=1000, random_state=0):
        with pytest.warns() as caught:
            model.fit(*IRIS)
        texts.append(sorted(f"{w.category.__name__}: {w.message}" for w in caught))
    assert texts[0] == texts[1]
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        mlpc.estimators.MLPClassifier(solver="lbfgs", max_iter=2).fit(*IRIS)


BAD = {
    "hidden_layer_sizes": (-1, (3, 0), "many"),
    "activation": ("cosine", 3),
    "solver": ("newton",),
    "alpha": (-1.0,),
    "batch_size": (0, "all"),
    "learning_rate": ("fast",),
    "learning_rate_init": (0.0,),
    "max_iter": (0,),
    "validation_fraction": (1.0,),
    "beta_1": (1.0,),
    "n_iter_no_change": (0,),
    "random_state": (-1, "seed"),
}


@pytest.mark.parametrize("name", BAD)
def test_refusals_are_scikit_learns(name):
    for value in BAD[name]:
        messages = []
        for model in both("MLPRegressor", **{name: value}):
            with pytest.raises(ValueError, match=r".") as caught:
                model.fit(TABLE, CURVE)
            messages.append(str(caught.value).partition(" instance")[0].replace("'", ""))
        # What may be given instead differs: there is more of it here.
        assert messages[0].partition(" must be ")[0] == messages[1].partition(" must be ")[0]


@pytest.mark.parametrize("sizes", [(3.0,), [4, 2.5], np.array([5.0]), True, [3, np.True_]], ids=str)
def test_layers_of_broken_units(sizes):
    with pytest.raises(TypeError, match="hidden_layer_sizes must be integers"):
        mlpc.estimators.MLPClassifier(sizes).fit(*IRIS)


def test_other_layers_later():
    model = mlpc.estimators.MLPRegressor(hidden_layer_sizes=(4,), max_iter=1, warm_start=True, random_state=0)
    before = model.partial_fit(TABLE, CURVE).network_.parameters.copy()
    model.set_params(hidden_layer_sizes=(9,))
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must stay \[4\] .*, got \[9\]"):
        model.partial_fit(TABLE, CURVE)
    np.testing.assert_array_equal(model.network_.parameters, before)
    with pytest.warns(UserWarning, match=r"goes on with a network of hidden_layer_sizes \[4\], not \[9\]"):
        model.fit(TABLE, CURVE)
    assert model.network_.layer_sizes == (TABLE.shape[1], 4, 1)


def test_what_takes_no_callbacks_and_no_boolean_number():
    model = mlpc.estimators.MLPClassifier((2,), max_iter=1, callbacks=None)
    with pytest.warns(ConvergenceWarning):
        assert model.fit(*IRIS).loss == sklearn.neural_network.MLPClassifier().loss
    with pytest.raises(TypeError, match="n_threads must be an integer, got True"):
        model.set_params(n_threads=True).fit(*IRIS)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of scikit-learn, which goes on with infinities
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "case",
    [
        ("MLPRegressor", np.full((20, 2), 1e200), np.ones(20), {"solver": "adam"}),
        ("MLPRegressor", TABLE, CURVE, {"solver": "sgd", "activation": "identity", "learning_rate_init": 1e100}),
        ("MLPClassifier", TABLE * 1e200, CURVE > 0, {"solver": "sgd", "max_iter": 2}),
        ("MLPClassifier", TABLE, CURVE > 0, {"solver": "adam", "learning_rate_init": 1e300}),
    ],
    ids=lambda case: "-".join((case[0], case[3]["solver"])),
)
def test_training_that_diverges(case, method):
    kind, X, y, parameters = case
    arguments = {"classes": [False, True]} if (kind, method) == ("MLPClassifier", "partial_fit") else {}
    messages = []
    for model in both(kind, random_state=0, **({"max_iter": 5} | parameters)):
        with pytest.raises(ValueError, match="Solver produced non-finite parameter weights") as caught:
            [getattr(model, method)(X, y, **arguments) for _ in range(3)]
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert np.isfinite(model.network_.parameters).all()
    assert np.isnan(model.loss_)


def test_lbfgs_that_cannot_begin():
    losses = []
    for model in both("MLPRegressor", solver="lbfgs"):
        with np.errstate(all="ignore"), pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
            losses.append(model.fit(np.full((20, 2), 1e200), np.ones(20)).loss_)
    assert np.isnan(losses).all()


def test_early_stopping_of_training_that_diverges():
    model = mlpc.estimators.MLPRegressor(
        solver="sgd", activation="identity", learning_rate_init=1.0, early_stopping=True, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="diverged in epoch"):
        model.fit(TABLE, CURVE)
    assert np.isnan(model.validation_scores_[-1])
    assert np.isnan(model.loss_curve_[-1])
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_)
    assert np.isfinite(model.predict(TABLE)).all()
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):  # there is no best epoch
        model.set_params(learning_rate_init=1e100).fit(TABLE, CURVE)


def test_interruption(monkeypatch):
    def stop(net, epoch, logs):
        if epoch == 3:
            raise KeyboardInterrupt

    model = mlpc.estimators.MLPClassifier(callbacks=stop, random_state=0)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        model.fit(*IRIS)
    assert model.n_iter_ == 3
    reference = mlpc.estimators.MLPClassifier(max_iter=3, random_state=0).fit(*IRIS)
    np.testing.assert_array_equal(model.coefs_[0], reference.coefs_[0])


@pytest.mark.parametrize("name", ["coefs_", "intercepts_"])
def test_parameters_are_views(name):
    model = mlpc.estimators.MLPClassifier((5,), max_iter=2, random_state=0)
    assert not hasattr(model, name)
    with pytest.raises(NotFittedError, match=name):
        getattr(model, name)
    model.fit(*IRIS)
    views = getattr(model, name)
    kept = [view.copy() for view in views]
    views[0][...] += 1.0
    np.testing.assert_array_equal(getattr(model, name)[0], kept[0] + 1.0)
    setattr(model, name, kept)
    np.testing.assert_array_equal(getattr(model, name)[0], kept[0])
    views = getattr(model, name)
    views[1] = np.ones_like(kept[1])
    assert (views[1] == 1).all()
    assert (getattr(model, name)[1] == 1).all()
    views[1][...] = 2.0
    assert (getattr(model, name)[1] == 2).all()
    getattr(model, name)[:] = kept
    own = model.network_.weights if name == "coefs_" else model.network_.biases
    assert all(np.shares_memory(view, array) for view, array in zip(getattr(model, name), own, strict=True))
    for wrong in ([kept[0]], [kept[1], kept[0]]):
        with pytest.raises(ValueError, match=name):
            setattr(model, name, wrong)
    with pytest.raises(ValueError, match="shape"):
        getattr(model, name)[0] = kept[0][:1]
    for view, array in zip(getattr(model, name), kept, strict=True):
        np.testing.assert_array_equal(view, array)


def test_a_name_that_users_of_scikit_learn_set():
    model = mlpc.estimators.MLPClassifier((5,), max_iter=2, random_state=0).fit(*IRIS)
    before = model.coefs_[0].copy()
    model._optimizer = None  # drops scikit-learn's optimizer before a pickle
    np.testing.assert_array_equal(model.fit(*IRIS).coefs_[0], before)


def test_float32_stays_float32():
    model = mlpc.estimators.MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(
        TABLE.astype(np.float32), CURVE
    )
    assert model.network_.dtype == np.float32
    assert model.predict(TABLE.astype(np.float32)).dtype == np.float32
    lbfgs = clone(model).set_params(solver="lbfgs").fit(TABLE.astype(np.float32), CURVE)
    assert lbfgs.coefs_[0].dtype == np.float32


def test_the_network_is_kept_whole(tmp_path):
    model = mlpc.estimators.MLPClassifier((5,), "tanh", max_iter=3, alpha=0.5, random_state=0).fit(*IRIS)
    model.network_.save(tmp_path / "net.safetensors")
    loaded = mlpc.load(tmp_path / "net.safetensors")
    expected = model.network_.objective(*IRIS)
    assert loaded.objective(*IRIS) == pickle.loads(pickle.dumps(model)).network_.objective(*IRIS) == expected
    assert loaded.optimizer == model.network_.optimizer == mlpc.Adam(classic=True)
    assert loaded.reduction == "penalized_mean"
    # From here on it is a network like any other: orders from a generator of its own.
    again = loaded.copy()
    assert (model.network_.fit(*IRIS, epochs=2).parameters == loaded.fit(*IRIS, epochs=2).parameters).all()
    assert (again.fit(*IRIS, epochs=2).parameters == loaded.parameters).all()
