"""What the estimators have beyond scikit-learn's MLP, and how they behave in its company: pipelines, searches, frames,
workers, metadata routing."""

import copy
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from time import perf_counter, sleep

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, mean_absolute_error, recall_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

import mlpc
from mlpc import _core, _progress
from mlpc.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
CANCER = load_breast_cancer(return_X_y=True)
RNG = np.random.default_rng(1)
TABLE = RNG.normal(size=(300, 3))
CURVE = np.sin(2 * TABLE[:, 0]) + TABLE[:, 1] ** 2
SKEWED = CURVE + RNG.exponential(1.0, 300)


# ---- More networks.


def test_an_activation_for_each_layer():
    model = MLPClassifier((6, 5), ["gelu", "logistic"], max_iter=40, learning_rate_init=0.05, random_state=0).fit(X, Y)
    assert model.network_.hidden_activation == ("gelu", "sigmoid")
    assert model.score(X, Y) > 0.9
    still = {"max_iter": 1, "solver": "sgd", "learning_rate_init": 1e-300, "random_state": 0}
    first, second, third = MLPClassifier((50, 50), ["relu", "logistic"], **still).fit(X, Y).coefs_
    for weights, factor in ((first, 6), (second, 2), (third, 2)):  # the output layer's is that of the layer before it
        assert 0.9 < abs(weights).max() / np.sqrt(factor / sum(weights.shape)) <= 1
    with pytest.raises(ValueError, match=r"^activation must be one value or one per hidden layer \(2\), got 1"):
        MLPClassifier((6, 5), ["gelu"]).fit(X, Y)
    with pytest.raises(ValueError, match=r"^activation\[1\].*cosine"):
        MLPClassifier((6, 5), ["gelu", "cosine"]).fit(X, Y)


@pytest.mark.parametrize(
    ("loss", "in_network"),
    [
        ("squared_error", "half_squared_error"),
        ("half_squared_error", "half_squared_error"),
        ("absolute_error", "absolute_error"),
        ("huber", "huber"),
        ("log_cosh", "log_cosh"),
        ("quantile", "quantile"),
        (mlpc.Huber(0.3), mlpc.Huber(0.3)),
        (mlpc.Quantile(0.8), mlpc.Quantile(0.8)),
    ],
    ids=str,
)
def test_losses(loss, in_network):
    model = MLPRegressor(loss, (20,), "tanh", learning_rate_init=0.02, max_iter=80, alpha=0, random_state=0)
    model.fit(TABLE, SKEWED)
    assert model.network_.loss == in_network
    trained = model.network_.sample_losses(TABLE, SKEWED).mean()
    constant = mlpc.Network([3, 1], loss=in_network, initializer="zeros")
    constant.parameters = [0, 0, 0, np.quantile(SKEWED, 0.8 if isinstance(loss, mlpc.Quantile) else 0.5)]
    assert trained < 0.7 * constant.sample_losses(TABLE, SKEWED).mean()


def test_an_output_activation():
    target = 1 / (1 + np.exp(-3 * CURVE))
    settings = {"hidden_layer_sizes": (9,), "max_iter": 300, "learning_rate_init": 0.01, "random_state": 0}
    model = MLPRegressor(output_activation="logistic", **settings).fit(TABLE, target)
    assert model.out_activation_ == "logistic"
    assert model.network_.output_activation == "sigmoid"
    assert model.score(TABLE, target) > 0.8
    for solver in ("adam", "lbfgs"):
        far = clone(model).set_params(solver=solver).fit(TABLE, target).predict(100 * TABLE)
        assert 0 <= far.min() < far.max() <= 1
    # The hidden layer's first weights are those of the same model without: they do not depend on the output.
    first, other = (clone(model).set_params(output_activation=name, max_iter=1) for name in ("softplus", None))
    first.set_params(learning_rate_init=1e-300).fit(TABLE, target)
    other.set_params(learning_rate_init=1e-300).fit(TABLE, target)
    np.testing.assert_array_equal(first.coefs_[1], other.coefs_[1])
    assert (first.predict(TABLE) > 0).all()
    assert model.set_params(output_activation="relu").partial_fit(TABLE, target).out_activation_ == "relu"
    assert MLPRegressor("poisson", output_activation="exp", max_iter=1).fit(TABLE, target).out_activation_ == "exp"
    with pytest.raises(
        ValueError, match=r"output_activation must be 'exp' \(or None\) with loss='poisson', got 'tanh'"
    ):
        MLPRegressor("poisson", output_activation="tanh").fit(TABLE, target)
    for wrong in ("exp", "softmax", 3):
        with pytest.raises(ValueError, match="output_activation"):
            MLPRegressor(output_activation=wrong).fit(TABLE, target)
    assert list(MLPRegressor().get_params()) == sorted(MLPRegressor().get_params())
    assert "output_activation" not in MLPClassifier().get_params()


def test_several_quantiles_of_one_target():
    model = MLPRegressor(mlpc.Quantile([0.1, 0.9]), (20,), "tanh", learning_rate_init=0.02, random_state=0)
    low, high = model.fit(TABLE, SKEWED).predict(TABLE).T
    assert model.n_outputs_ == 2
    assert 0.7 < np.mean((low < SKEWED) & (high > SKEWED)) < 0.9
    early = clone(model).set_params(early_stopping=True).fit(TABLE, SKEWED)
    np.testing.assert_array_equal(early.validation_scores_, -early.network_.history.validation_loss)


def test_several_outputs_descend_the_sum():
    targets = np.column_stack([CURVE, SKEWED])
    model = MLPRegressor(hidden_layer_sizes=(9,), max_iter=5, batch_size=300, random_state=0, shuffle=False)
    model.fit(TABLE, targets)
    other = sklearn.neural_network.MLPRegressor(
        **{
            name: model.get_params()[name]
            for name in model.get_params()
            if name in sklearn.neural_network.MLPRegressor().get_params()
        }
    ).fit(TABLE, targets)
    np.testing.assert_allclose(model.coefs_[0], other.coefs_[0], atol=1e-12)
    assert model.predict(TABLE).shape == (300, 2)
    fresh = clone(model).set_params(max_iter=1, learning_rate_init=1e-300).fit(TABLE, targets)
    expected = 0.5 * ((fresh.predict(TABLE) - targets) ** 2).sum() / 300
    np.testing.assert_allclose(fresh.loss_, expected + sum(1e-4 / 2 * (w**2).sum() for w in fresh.coefs_) / 300)


@pytest.mark.parametrize(
    "solver",
    [
        mlpc.AdamW(0.02),
        mlpc.RMSprop(0.02),
        mlpc.SGD(0.1, momentum=0.9, schedule=mlpc.CosineDecay(60)),
        mlpc.Rprop(),
        mlpc.LBFGS(),
    ],
    ids=lambda solver: type(solver).__name__,
)
def test_optimizer_objects(solver):
    model = MLPClassifier((8,), solver=solver, max_iter=60, random_state=0).fit(X, Y)
    assert model.network_.optimizer == solver
    assert model.score(X, Y) > 0.95
    assert clone(model).solver == solver
    assert hasattr(model, "partial_fit") is not solver.full_batch
    assert len(model.loss_curve_) == model.n_iter_


def test_what_a_solver_object_leaves_unread():
    class Other(MLPClassifier):
        def __init__(self, learning_rate_init=0.1, solver="adam", hidden_layer_sizes=(4,), max_iter=1):
            super().__init__(
                hidden_layer_sizes, learning_rate_init=learning_rate_init, solver=solver, max_iter=max_iter
            )

    model = MLPClassifier((4,), solver=mlpc.AdamW(0.01), max_iter=1, learning_rate_init=0.1, beta_1=0.5, random_state=0)
    for fit in (model.fit, model.partial_fit):
        with pytest.warns(UserWarning, match=r"^learning_rate_init, beta_1 without effect: solver=AdamW") as caught:
            fit(X, Y)
        assert __file__ in {warning.filename for warning in caught}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(learning_rate_init=0.001, beta_1=np.float64(0.9)).partial_fit(X, Y)
        clone(model).partial_fit(X, Y, classes=[0, 1, 2])
        Other(solver=mlpc.AdamW(0.01)).partial_fit(X, Y, classes=[0, 1, 2])
        MLPClassifier((4,), learning_rate_init=0.1, beta_1=0.5).partial_fit(X, Y, classes=[0, 1, 2])
        with pytest.raises(UserWarning, match="without effect"):
            clone(model).set_params(momentum=0.5).partial_fit(X, Y, classes=[0, 1, 2])


def test_settings_of_objects_are_parameters():
    solver = mlpc.AdamW(0.01, schedule=mlpc.CosineDecay(50))
    model = MLPClassifier((4,), solver=solver, max_iter=2, random_state=0)
    deep = model.get_params()
    assert (deep["solver__learning_rate"], deep["solver__schedule__epochs"]) == (0.01, 50)
    assert not any("__" in name for name in model.get_params(deep=False))
    model.set_params(solver__learning_rate=0.1, solver__schedule__epochs=20, solver__schedule__warmup=2, alpha=0.5)
    assert model.solver == mlpc.AdamW(0.1, schedule=mlpc.CosineDecay(20, warmup=2))
    assert (solver.learning_rate, model.alpha) == (0.01, 0.5)
    assert clone(model).solver == model.solver
    # Of an object that comes with them, and those of one object together: 60 is more than a step_max of 50.
    model.set_params(solver__step_min=60.0, solver__step_max=70.0, solver=mlpc.Rprop())
    assert model.solver == mlpc.Rprop(step_min=60.0, step_max=70.0)
    nested = MLPRegressor(solver=mlpc.SGD(0.1))
    nested.set_params(solver__schedule__factor=0.5, solver__schedule=mlpc.StepDecay(3))
    assert nested.solver == mlpc.SGD(0.1, schedule=mlpc.StepDecay(3, 0.5))
    assert MLPRegressor(mlpc.Huber(2.0)).set_params(loss__delta=1.0).loss == mlpc.Huber(1.0)
    for name, message in [
        ("solver__momentum", "solver__momentum is no parameter: Rprop has .*step_max"),
        ("solver__schedule__epochs", "solver__schedule is no parameter: Rprop has"),
        ("activation__slope", "activation must be an object to set activation__slope of, got 'relu'"),
        ("dropout_rate__x", "Invalid parameter 'dropout_rate'"),
        ("solver__step_min", "solver__step_min must be a finite number >= 0, got -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.set_params(**{name: -1})
    with pytest.raises(TypeError, match="solver__step_min must be a number, got 'a'"):
        model.set_params(solver__step_min="a", alpha=5)
    with pytest.raises(ValueError, match="scoring"):
        model.set_params(solver__step_min=1.0, scoring__x=1)
    assert (model.solver, model.alpha) == (mlpc.Rprop(step_min=60.0, step_max=70.0), 0.5)
    with pytest.raises(
        ValueError, match=r"solver__schedule must be an object to set solver__schedule__epochs of, got None"
    ):
        model.set_params(solver=mlpc.Adam(), solver__schedule__epochs=3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_search_over_settings_of_an_object():
    model = make_pipeline(StandardScaler(), MLPClassifier((8,), solver=mlpc.AdamW(1e-6), max_iter=20, random_state=0))
    search = GridSearchCV(model, {"mlpclassifier__solver__learning_rate": [1e-5, 0.03]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"mlpclassifier__solver__learning_rate": 0.03}
    assert search.best_estimator_[-1].network_.optimizer.learning_rate == 0.03


@pytest.mark.parametrize(
    ("solver", "optimizer"),
    [
        ("adamw", mlpc.AdamW(0.02, 0.8, 0.99, 1e-6)),
        ("rmsprop", mlpc.RMSprop(0.02, epsilon=1e-6)),
    ],
)
def test_optimizers_by_name(solver, optimizer):
    rates = {"learning_rate_init": 0.02, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6, "momentum": 0.5}
    model = MLPClassifier((8,), solver=solver, **rates, random_state=0).fit(X, Y)
    assert model.network_.optimizer == optimizer
    assert model.score(X, Y) > 0.95
    by_object = MLPClassifier((8,), solver=optimizer, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], by_object.coefs_[0])
    model.set_params(learning_rate_init=0.01).partial_fit(X, Y)
    np.testing.assert_array_equal(
        model.coefs_[0], by_object.set_params(solver=optimizer.replace(learning_rate=0.01)).partial_fit(X, Y).coefs_[0]
    )
    with pytest.raises(ValueError, match=r"'solver' parameter.*Got 'adagrad'") as caught:
        MLPClassifier(solver="adagrad").fit(X, Y)
    assert all(f"'{name}'" in str(caught.value) for name in ("adam", "sgd", "lbfgs", "adamw", "rmsprop"))


def test_penalties():
    free, sparse = (
        MLPClassifier((8,), l1=l1, max_iter=300, learning_rate_init=0.02, random_state=0).fit(X, Y) for l1 in (0.0, 3.0)
    )
    assert sum(np.mean(abs(w) < 1e-2) for w in sparse.coefs_) > sum(np.mean(abs(w) < 1e-2) for w in free.coefs_) + 0.5
    net = sparse.network_
    expected = net.sample_losses(X, Y).sum() + sum(3 * abs(w).sum() + 1e-4 / 2 * (w**2).sum() for w in net.weights)
    np.testing.assert_allclose(net.objective(X, Y), expected / len(Y))


def test_dropout():
    models = [MLPClassifier((30, 9), dropout=d, max_iter=30, random_state=0).fit(X, Y) for d in (0.0, 0.4, [0.4, 0.4])]
    assert models[0].loss_ < models[1].loss_ == models[2].loss_
    assert models[1].fit(X, Y).loss_ == models[2].loss_  # of the random state alone
    warm = MLPClassifier((30,), dropout=0.4, max_iter=1, warm_start=True, random_state=0, shuffle=False, solver="sgd")
    warm.set_params(learning_rate_init=1e-300)
    assert len({warm.fit(X, Y).loss_ for _ in range(3)}) == 3  # other units every time
    for rates in (0.1, [0.0, 0.1], [0.1, 0.0]):
        with pytest.raises(ValueError, match="dropout must be 0 with solver='lbfgs'"):
            MLPClassifier((9, 9), solver="lbfgs", dropout=rates).fit(X, Y)


def test_initializers():
    zero = MLPRegressor(initializer="zeros", max_iter=1, solver="sgd", learning_rate_init=1e-300, alpha=0)
    assert abs(zero.fit(TABLE, CURVE).network_.parameters).max() < 1e-290
    ones = clone(zero).set_params(initializer=lambda rng, shape: np.ones(shape))
    assert (ones.fit(TABLE, CURVE).coefs_[0] == 1).all()
    he = clone(zero).set_params(initializer="he_normal", random_state=5)
    first = he.fit(TABLE, CURVE).coefs_[0].copy()
    assert (he.fit(TABLE, CURVE).coefs_[0] == first).all()
    assert (he.set_params(random_state=6).fit(TABLE, CURVE).coefs_[0] != first).any()


def test_class_weights():
    rare = np.r_[0:60, 100:112]
    data, labels = X[rare, :2], np.array(["common", "rare"])[(Y[rare] > 0) * 1]
    settings = {"solver": "lbfgs", "hidden_layer_sizes": (3,), "random_state": 0, "alpha": 1.0}
    plain = MLPClassifier(**settings).fit(data, labels)
    weighted = MLPClassifier(class_weight={"rare": 5.0}, **settings).fit(data, labels)
    counted = MLPClassifier(**settings).fit(data, labels, sample_weight=np.where(labels == "rare", 5.0, 1.0))
    np.testing.assert_array_equal(weighted.coefs_[0], counted.coefs_[0])
    balanced = MLPClassifier(class_weight="balanced", **settings).fit(data, labels)
    recall = [recall_score(labels, m.predict(data), pos_label="rare") for m in (plain, weighted, balanced)]
    assert recall[0] <= recall[1]
    assert weighted.predict_proba(data)[:, 1].sum() > plain.predict_proba(data)[:, 1].sum()
    np.testing.assert_allclose(
        balanced.loss_,
        MLPClassifier(**settings).fit(data, labels, np.where(labels == "rare", 72 / (2 * 22), 72 / (2 * 50))).loss_,
        rtol=1e-6,
    )
    with pytest.raises(ValueError, match="class_weight must be a dict or None for partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(data, labels, classes=["common", "rare"])
    for weight in (-1, np.nan, np.inf):
        with pytest.raises(
            ValueError, match=rf"class_weight must hold finite numbers >= 0, got \{{'rare': {weight}\}}"
        ):
            MLPClassifier(class_weight={"rare": weight}).fit(data, labels)
    with pytest.raises(ValueError, match="class_weight must not be zero for every class in y, got"):
        MLPClassifier(class_weight={"rare": 0, "common": 0}).fit(data, labels)
    with pytest.raises(ValueError, match="class_weight must be None for multi-label"):
        MLPClassifier(class_weight="balanced").fit(X, X > 0)


# ---- Validation and watching.


def test_an_own_validation_set():
    data, held = {"X": X[::2], "y": Y[::2]}, {"X_val": X[1::2], "y_val": Y[1::2]}
    watched = MLPClassifier((9,), max_iter=25, random_state=0).fit(**data, **held)
    plain = MLPClassifier((9,), max_iter=25, random_state=0).fit(**data)
    np.testing.assert_array_equal(watched.coefs_[0], plain.coefs_[0])
    assert watched.validation_scores_[-1] == watched.score(X[1::2], Y[1::2])
    assert plain.validation_scores_ is None
    history = watched.network_.history
    np.testing.assert_array_equal(history["validation_score"], watched.validation_scores_)
    np.testing.assert_allclose(
        history["validation_loss"][-1], watched.network_.sample_losses(X[1::2], Y[1::2]).mean(), rtol=1e-12
    )
    early = MLPClassifier((9,), early_stopping=True, n_iter_no_change=3, learning_rate_init=0.05, random_state=0)
    early.fit(**data, **held)
    assert early.n_iter_ < 200
    assert early.score(X[1::2], Y[1::2]) == early.best_validation_score_ == max(early.validation_scores_)
    assert early.t_ == 75 * early.n_iter_  # nothing was set aside
    weight = np.where(Y[1::2] == 2, 1.0, 0.0)
    weighted = clone(early).fit(**data, **held, sample_weight_val=weight)
    assert weighted.score(X[1::2], Y[1::2], weight) == weighted.best_validation_score_
    weighted = clone(watched).fit(**data, **held, sample_weight_val=weight).network_
    expected = np.average(weighted.sample_losses(X[1::2], Y[1::2]), weights=weight)
    np.testing.assert_allclose(weighted.history["validation_loss"][-1], expected, rtol=1e-12)
    weight = np.where(CURVE > 0, 1.0, 0.0)
    model = MLPRegressor(max_iter=2, random_state=0)
    model.fit(TABLE, CURVE, X_val=TABLE, y_val=CURVE, sample_weight_val=weight)
    assert model.validation_scores_[-1] == pytest.approx(model.score(TABLE, CURVE, weight), rel=1e-12)


BAD_VALIDATION = {
    "without y": ({"X_val": X}, "X_val is provided, but y_val was not"),
    "without X": ({"y_val": Y}, "y_val is provided, but X_val was not"),
    "weights alone": ({"sample_weight_val": Y}, "sample_weight_val is provided, but"),
    "another length": ({"X_val": X, "y_val": Y[:9]}, "as many rows, got 150 and 9"),
    "other columns": ({"X_val": X[:, :2], "y_val": Y}, "features"),
    "two columns": ({"X_val": X, "y_val": np.column_stack([Y, Y])}, r"as many columns as y, 1, got shape \(150, 2\)"),
    "unknown class": ({"X_val": X, "y_val": Y + 1}, r"y_val has classes that y has not: \[3\]"),
}


@pytest.mark.parametrize("case", BAD_VALIDATION)
def test_bad_validation_sets(case):
    arguments, message = BAD_VALIDATION[case]
    with pytest.raises(ValueError, match=message):
        MLPClassifier().fit(X, Y, **arguments)


def test_a_schedule_without_a_validation_set():
    model = MLPClassifier((4,), solver=mlpc.Adam(0.01, schedule=mlpc.ReduceOnPlateau()), max_iter=3, random_state=0)
    for method in (model.fit, lambda *data: model.partial_fit(*data, classes=[0, 1, 2])):
        with pytest.raises(
            ValueError, match="schedule of solver monitors 'validation_loss': pass X_val and y_val to fit"
        ):
            method(X, Y)
    assert model.fit(X, Y, X_val=X, y_val=Y).n_iter_ == 3
    assert model.set_params(early_stopping=True).fit(X, Y).n_iter_ == 3
    by_loss = mlpc.Adam(0.01, schedule=mlpc.ReduceOnPlateau("loss"))
    assert MLPClassifier((4,), solver=by_loss, max_iter=3, random_state=0).fit(X, Y).n_iter_ == 3


def test_what_scikit_learn_is_told():
    assert get_tags(MLPClassifier()).classifier_tags.multi_label
    assert get_tags(MLPRegressor()).target_tags.multi_output
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        MLPClassifier((4,), max_iter=1, random_state=0).fit(X, Y, X_val=X, y_val=Y[:, None])
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(TABLE, CURVE[:, None])
    assert model.predict(TABLE).shape == CURVE.shape


def test_sparse_validation_targets():
    with pytest.raises(TypeError, match=r"y_val.*dense data is required"):
        MLPRegressor().fit(TABLE, CURVE, X_val=TABLE, y_val=scipy.sparse.csr_array(CURVE[:, None]))


@pytest.mark.parametrize("n_columns", [1, 2, 5])
def test_validation_targets_of_another_shape(n_columns):
    with pytest.raises(ValueError, match=r"y_val must have as many columns as y, 4, got shape \(150, \d\)"):
        MLPClassifier().fit(X, X > 0, X_val=X, y_val=np.ones((150, n_columns), dtype=bool))
    for y_val in (np.ones((150, n_columns)), np.ones(150)):
        with pytest.raises(ValueError, match="y_val must have as many columns as y, 4, got shape"):
            MLPRegressor(solver="lbfgs").fit(X, X, X_val=X, y_val=y_val)


@pytest.mark.parametrize(
    "scoring", ["loss", "neg_mean_absolute_error", make_scorer(mean_absolute_error, greater_is_better=False)], ids=str
)
def test_scoring(scoring):
    frame = pd.DataFrame(TABLE, columns=["a", "b", "c"])
    model = MLPRegressor(scoring=scoring, early_stopping=True, max_iter=20, random_state=0)
    model.fit(frame, CURVE, X_val=frame[:50], y_val=CURVE[:50])
    if scoring == "loss":
        expected = -model.network_.sample_losses(TABLE[:50], CURVE[:50]).mean()
    else:
        expected = -mean_absolute_error(CURVE[:50], model.predict(frame[:50]))
    np.testing.assert_allclose(model.best_validation_score_, expected, rtol=1e-12)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_callbacks(solver, capsys):
    seen, ended = [], []

    def watch(net, epoch, logs):
        seen.append((epoch, logs["loss"], float(net.objective(X, Y))))
        logs["twice"] = 2 * logs["loss"]
        assert len(net.history) == epoch
        with pytest.raises(RuntimeError, match="not within a callback"):
            net.fit(X, Y)
        return epoch == 4

    watch.fit_ended = ended.append
    model = MLPClassifier((5,), solver=solver, callbacks=[watch], progress=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # who stops it knows that it has not converged
        model.fit(X, Y)
    assert [epoch for epoch, *_ in seen] == [1, 2, 3, 4]
    assert model.n_iter_ == model.network_.epoch == 4
    assert ended == [model.network_]
    losses = [loss for _, loss, _ in seen]
    assert model.loss_ == losses[-1]
    history = model.network_.history
    assert history.stop_reason == "callback"
    assert history.loss.tolist() == losses
    assert history.twice.tolist() == [2 * loss for loss in losses]
    if solver == "lbfgs":
        np.testing.assert_allclose(losses, [objective for *_, objective in seen])
    assert capsys.readouterr().err == ""  # too short a fit for a bar


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_leave_the_estimators_own_column_alone(solver):
    def overwrite(net, epoch, logs):
        logs["validation_score"] = 0.25

    model = MLPClassifier((5,), solver=solver, callbacks=overwrite, max_iter=3, random_state=0)
    with pytest.raises(ValueError, match=r"callbacks must not change logs\['validation_score'\] to 0.25"):
        model.fit(X, Y, X_val=X, y_val=Y)
    model.fit(X, Y)  # nothing is judged: the name is free
    assert model.network_.history["validation_score"].tolist() == [0.25] * 3
    model.set_params(callbacks=lambda net, epoch, logs: logs.update(logs), scoring=lambda *_: np.nan)
    assert np.isnan(model.fit(X, Y, X_val=X, y_val=Y).validation_scores_).all()


@pytest.mark.parametrize("scoring", [None, "loss"])
def test_early_stopping_after_a_warm_start_judges_by_the_new_rows(scoring):
    settings = {
        "early_stopping": True,
        "warm_start": True,
        "learning_rate_init": 0.01,
        "max_iter": 60,
        "random_state": 0,
    }
    model = MLPRegressor(hidden_layer_sizes=(8,), scoring=scoring, **settings).fit(TABLE, TABLE[:, 0])
    best, score = model.coefs_[0].copy(), model.best_validation_score_
    assert model.fit(TABLE, TABLE[:, 0]).best_validation_score_ >= score  # the same rows: nothing is forgotten
    model.fit(TABLE, -TABLE[:, 0])
    assert not np.array_equal(model.coefs_[0], best)
    assert model.score(TABLE, -TABLE[:, 0]) > 0.5
    assert model.best_validation_score_ == max(model.validation_scores_[-model.n_iter_ :])


def test_the_start_of_a_warm_start_is_judged_by_weighted_rows():
    held = {"X_val": TABLE, "y_val": CURVE, "sample_weight_val": np.where(CURVE > 0, 1.0, 0.0)}
    settings = {"early_stopping": True, "warm_start": True, "max_iter": 1, "random_state": 0}
    model = MLPRegressor(hidden_layer_sizes=(8,), scoring="loss", **settings).fit(TABLE, CURVE, **held)
    before, score = model.coefs_[0].copy(), model.best_validation_score_
    model.set_params(solver="sgd", learning_rate_init=10.0).fit(TABLE, CURVE, **held)  # gets worse
    assert model.best_validation_score_ == pytest.approx(score, rel=1e-12)
    assert np.array_equal(model.coefs_[0], before)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_as_good_as_before_is_not_worse(early_stopping):
    still = {"solver": "sgd", "learning_rate_init": 1e-300, "tol": 0.0, "n_iter_no_change": 1, "max_iter": 6}
    model = MLPClassifier((4,), early_stopping=early_stopping, shuffle=False, **still, random_state=0)
    assert model.fit(X, Y, X_val=X, y_val=Y).n_iter_ == 6
    assert model.set_params(tol=1e-9).fit(X, Y, X_val=X, y_val=Y).n_iter_ < 6


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_early_stopping_after_a_warm_start_has_its_patience_again(solver):
    settings = {"solver": solver, "early_stopping": True, "warm_start": True, "n_iter_no_change": 3}
    model = MLPClassifier((4,), scoring=lambda *_: 1.0, random_state=0, **settings)
    epochs = [model.fit(X, Y, X_val=X, y_val=Y).n_iter_ for _ in range(3)]
    assert epochs == [5, 4, 4]  # nothing beats the first epoch, nor then the start
    assert model.network_.history.best_epoch == 1
    model.set_params(early_stopping=False, max_iter=2).fit(X, Y)  # no epoch of which the weights are
    assert model.network_.history.best_epoch == np.argmin(model.network_.history.loss) + 1


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("worst", [np.nan, -np.inf])
def test_early_stopping_without_a_score(solver, worst):
    settings = {"hidden_layer_sizes": (4,), "solver": solver, "max_iter": 5, "random_state": 0}
    scores = iter([worst, worst, 0.5, 0.4, 0.4])
    late = MLPClassifier(early_stopping=True, scoring=lambda *_: next(scores), **settings)
    never = MLPClassifier(early_stopping=True, scoring=lambda *_: worst, **settings)
    plain = MLPClassifier(**settings).fit(X, Y)
    with pytest.warns(
        UserWarning, match=r"nothing to go by: with scoring=.* no score .* was a finite number"
    ) as caught:
        never.fit(X, Y, X_val=X, y_val=Y)
    assert sum("nothing to go by" in str(warning.message) for warning in caught) == 1
    assert all(warning.filename == __file__ for warning in caught if "nothing to go by" in str(warning.message))
    np.testing.assert_array_equal(never.coefs_[0], plain.coefs_[0])
    assert never.network_.history.best_epoch == 5
    late.fit(X, Y, X_val=X, y_val=Y)
    np.testing.assert_array_equal(late.coefs_[0], clone(plain).set_params(max_iter=3).fit(X, Y).coefs_[0])
    assert (late.network_.history.best_epoch, late.best_validation_score_) == (3, 0.5)
    never.set_params(scoring=None, warm_start=True).fit(X, Y, X_val=X, y_val=Y)
    assert never.score(X, Y) == never.best_validation_score_


def test_early_stopping_where_there_is_nothing_to_do():
    model = MLPRegressor(solver="lbfgs", early_stopping=True, initializer="zeros", alpha=0.0)
    model.fit(TABLE, 0.0 * CURVE, X_val=TABLE, y_val=CURVE)  # no iteration, and no word about its score
    assert model.n_iter_ == 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_early_stopping_by_rows_of_one_class():
    model = MLPClassifier((4,), early_stopping=True, scoring="roc_auc", learning_rate_init=0.01, random_state=0)
    with pytest.warns(UserWarning, match="scoring='roc_auc'"):
        model.fit(X[:100], Y[:100], X_val=X[:10], y_val=Y[:10])
    assert model.score(X[:100], Y[:100]) == 1.0


def test_an_interrupt_goes_back_to_the_best_epoch():
    def stop(net, epoch, logs):
        if epoch % 5 == 0:
            raise KeyboardInterrupt

    scores = [
        0.1,
        0.9,
        0.3,
        0.3,
        0.3,
        0.5,
        0.3,
        0.3,
        0.95,
        0.3,
        0.3,
    ]  # the sixth is that of where the second fit starts
    settings = {"early_stopping": True, "warm_start": True, "scoring": lambda *_: scores.pop(0), "random_state": 0}
    model = MLPClassifier((4,), callbacks=stop, **settings)
    plain = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, Y)
    for best in (2, 8):
        with pytest.warns(UserWarning, match="interrupted by user"):
            model.fit(X, Y, X_val=X, y_val=Y)
        assert model.network_.history.best_epoch == best
        if best == 2:
            np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])


def test_what_early_stopping_may_go_back_to_is_not_kept():
    models = [MLPClassifier((200,), early_stopping=early, max_iter=3, random_state=0) for early in (False, True)]
    plain, early = (len(pickle.dumps(model.fit(X, Y))) for model in models)
    assert early < plain + 1000


def test_a_first_part_without_every_class():
    model = MLPClassifier((4,), random_state=0).partial_fit(X[Y < 2], Y[Y < 2], classes=[0, 1, 2])
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.partial_fit(X, Y).predict_proba(X).shape == (150, 3)


def test_class_weights_do_not_judge():
    seen = []

    def score(model, X, y, sample_weight=None):
        seen.append(sample_weight)
        return 1.0

    settings = {"early_stopping": True, "scoring": score, "max_iter": 2, "random_state": 0}
    model = MLPClassifier((4,), class_weight={0: 0.0, 1: 5.0}, **settings)
    model.fit(X, Y)
    assert seen[-1] is None
    weights = np.linspace(1, 2, len(Y))
    model.fit(X, Y, sample_weight=weights)
    assert np.isin(seen[-1], weights).all()


@pytest.mark.parametrize("batch_size", [1, 4])
def test_steps_on_few_samples_report_scikit_learns_losses(batch_size):
    """Those of probabilities that are kept off 0 and 1: none is larger than 52 log(2)."""
    X = 1e6 * np.random.default_rng(0).normal(size=(40, 3))
    model = MLPClassifier((4,), solver=mlpc.SGD(1e-9), alpha=0, batch_size=batch_size, max_iter=1, random_state=0)
    assert 1 < model.fit(X, np.arange(40) % 2).loss_ < 52 * np.log(2)


def test_one_class_is_predicted_whatever_its_probability():
    X = np.random.default_rng(0).normal(size=(40, 3))
    for seed in range(3):
        model = MLPClassifier((4,), max_iter=1, random_state=seed).fit(X, ["only"] * 40)
        assert set(model.predict(10 * X)) == {"only"}


def test_class_weights_of_a_part_without_every_class():
    rows, weights = Y > 0, {1: 5.0, 2: 0.5}
    settings = {"hidden_layer_sizes": (4,), "random_state": 0}
    by_class = MLPClassifier(class_weight=weights, **settings)
    by_sample = MLPClassifier(**settings)
    by_class.partial_fit(X[rows], Y[rows], classes=[0, 1, 2])
    by_sample.partial_fit(X[rows], Y[rows], classes=[0, 1, 2], sample_weight=np.where(Y[rows] == 1, 5.0, 0.5))
    np.testing.assert_array_equal(by_class.coefs_[0], by_sample.coefs_[0])
    before = by_class.network_.parameters.copy()
    with pytest.raises(ValueError, match="class_weight must not be zero for every class in y"):
        by_class.set_params(class_weight={0: 0.0, 1: 1.0}).partial_fit(X[Y == 0], Y[Y == 0])
    np.testing.assert_array_equal(by_class.network_.parameters, before)


def test_class_weight_of_a_part_of_the_classes():
    model = MLPClassifier((4,), class_weight={1: 5.0}, random_state=0).partial_fit(X, Y, classes=[0, 1, 2])
    reference = clone(model).set_params(class_weight=None).partial_fit(X, Y, np.where(Y == 1, 5.0, 1.0), [0, 1, 2])
    one = Y == 0
    model.partial_fit(X[one], Y[one])
    np.testing.assert_array_equal(model.coefs_[0], reference.partial_fit(X[one], Y[one]).coefs_[0])


def test_no_warning_where_it_converged():
    model = MLPRegressor(hidden_layer_sizes=(), solver=mlpc.LBFGS(tolerance=1e-3), random_state=0)
    n_iter = model.fit(TABLE, TABLE[:, 0]).n_iter_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(max_iter=n_iter).fit(TABLE, TABLE[:, 0])
    assert model.network_.history.stop_reason == "converged"


def test_the_output_follows_the_loss():
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(TABLE, CURVE**2)
    assert model.out_activation_ == "identity"
    assert model.set_params(loss="poisson").partial_fit(TABLE, CURVE**2).out_activation_ == "exp"


@pytest.mark.parametrize(
    ("name", "instead"),
    [("out_activation_", "output_activation="), ("n_layers_", r"network_\.transform"), ("n_outputs_", "network_")],
)
def test_what_the_network_is_cannot_be_written(name, instead):
    model = MLPClassifier((4,), "logistic", max_iter=1, random_state=0)
    assert not hasattr(model, name)
    with pytest.raises(AttributeError, match=f"has no {name} before it is fitted"):
        setattr(model, name, 3)
    there = getattr(model.fit(X, Y), name)
    for wrong in ("identity", 2, None, np.arange(2)):
        with pytest.raises(AttributeError, match=f"^{name} must stay {there!r}, .*, got .*{instead}"):
            setattr(model, name, wrong)
    setattr(model, name, there)
    assert name not in vars(model)
    vars(model)[name] = "as models that were pickled before have it"
    again = pickle.loads(pickle.dumps(model))
    assert getattr(again, name) == there
    assert not hasattr(clone(again), name)


def test_weights_that_were_taken_can_be_put_back():
    model, other = (MLPClassifier((4,), max_iter=2, random_state=seed).fit(X, Y) for seed in (0, 1))
    first, second = model.predict_proba(X), other.predict_proba(X)
    taken = model.coefs_[0]
    model.coefs_[0] = np.zeros_like(taken)
    assert taken.any()
    assert not np.allclose(model.predict_proba(X), first)
    model.coefs_[0] = taken
    assert model.predict_proba(X).tobytes() == first.tobytes()
    before = model.coefs_
    model.coefs_ = [0 * weights for weights in before]
    model.coefs_ = before
    assert model.predict_proba(X).tobytes() == first.tobytes()
    model.coefs_, other.coefs_ = other.coefs_, model.coefs_
    model.intercepts_, other.intercepts_ = other.intercepts_, model.intercepts_
    assert model.predict_proba(X).tobytes() == second.tobytes()
    assert other.predict_proba(X).tobytes() == first.tobytes()


def test_a_copy_of_the_weights_is_an_ordinary_list():
    model = MLPClassifier((4,), max_iter=1, random_state=0).fit(X, Y)
    for copied in (copy.deepcopy(model.coefs_), copy.copy(model.coefs_), pickle.loads(pickle.dumps(model.coefs_))):
        assert type(copied) is list
        copied[0] = np.zeros((2, 2))
    assert model.coefs_[0].shape == (4, 4)
    kept = copy.deepcopy(model.coefs_)
    kept[0][...] = 7.0
    assert not (model.coefs_[0] == 7.0).any()


@pytest.mark.parametrize(
    "settings",
    [{"learning_rate_init": True}, {"solver": "sgd", "momentum": True}, {"epsilon": True}, {"dropout": False}],
)
def test_true_is_one(settings):
    model, other = (
        MLPClassifier((4,), max_iter=2, random_state=0, **kind)
        for kind in (settings, {name: float(v) if isinstance(v, bool) else v for name, v in settings.items()})
    )
    assert model.fit(X, Y).coefs_[0].tobytes() == other.fit(X, Y).coefs_[0].tobytes()


def test_a_callback_may_write_weights():
    def clear(net, epoch, logs):
        kept.append(copy.deepcopy(model))
        model.coefs_[0] = np.zeros((4, 4))
        assert not net.weights[0].any()

    kept = []
    model = MLPClassifier((4,), max_iter=2, random_state=0, callbacks=clear)
    assert not model.fit(X, Y).coefs_[0].any()
    taken = kept[0].coefs_[0]  # of a copy made meanwhile, which is not being fitted
    kept[0].coefs_[0] = np.zeros((4, 4))
    assert taken.any()
    assert not model.partial_fit(X, Y).coefs_[0].any()


def test_a_list_of_weights_is_taken_whole_or_not_at_all():
    model = MLPClassifier((4,), max_iter=1, random_state=0).fit(X, Y)
    before = model.network_.parameters.copy()
    for value in ([np.zeros((4, 4)), [["a"] * 3] * 4], [np.zeros((4, 4)), 1.0], 3):
        with pytest.raises(ValueError, match=r"^coefs_ must"):
            model.coefs_ = value
    with pytest.raises(ValueError, match=r"^intercepts_\[1\] must be an array of shape \(3,\), got \(2,\)"):
        model.intercepts_[1] = [1.0, 2.0]
    np.testing.assert_array_equal(model.network_.parameters, before)
    model.coefs_ = [np.ones((4, 4)), np.ones((4, 3))]
    assert model.network_.weights[1].sum() == 12


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("X_val", {"X_val": X[:, :2]}),
        ("X_val", {"X_val": np.full_like(X, np.nan)}),
        ("y_val", {"y_val": 1.0}),
        ("sample_weight_val", {"sample_weight_val": [1.0, 2.0]}),
    ],
)
def test_validation_arguments_are_named(name, wrong):
    with pytest.raises((TypeError, ValueError), match=f"^{name}: "):
        MLPClassifier((4,)).fit(X, Y, **({"X_val": X, "y_val": Y} | wrong))


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("name", ["sample_weight", "sample_weight_val", "y", "y_val"])
def test_negative_numbers_are_named_by_their_place(name, early_stopping):
    """Also where the network is given a part of the rows."""
    arguments = {"y": np.abs(X[:, 0]), "sample_weight": np.ones(len(X))}
    if name.endswith("_val"):
        arguments |= {"X_val": X, "y_val": np.abs(X[:, 0]), "sample_weight_val": np.ones(len(X))}
    arguments[name][7] = -1.5
    model = MLPRegressor("poisson", (4,), early_stopping=early_stopping, random_state=0)
    with pytest.raises(ValueError, match=rf"^{name}\[7\] is -1.5: it must be finite and not negative$"):
        model.fit(X, **arguments)
    assert not hasattr(model, "network_")


@pytest.mark.parametrize("y", [["1"] * len(X), scipy.sparse.csr_matrix(np.ones((len(X), 2)))])
def test_targets_that_are_no_array_of_numbers(y):
    with pytest.raises((TypeError, ValueError), match="y"):
        MLPRegressor("poisson", (4,)).fit(X, y)


@pytest.mark.parametrize("y", [np.array(["1"] * len(X)), np.zeros(len(X), "datetime64[s]")])
def test_a_regressor_gives_no_advice_for_labels(y):
    with pytest.raises(TypeError, match=r"^y must hold real numbers, got dtype") as caught:
        MLPRegressor(hidden_layer_sizes=(4,)).fit(X, y)
    assert "labels" not in str(caught.value)


def test_another_kind_of_targets():
    model = MLPClassifier((4,)).partial_fit(X, Y > 0, classes=[False, True])
    with pytest.raises(ValueError, match=r"^y must be as in the first call, binary, got shape \(150, 2\)"):
        model.partial_fit(X, np.column_stack([Y > 0, Y > 1]))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_history_knows_the_end(solver):
    seen = []

    def watch(net, epoch, logs):
        pass

    watch.fit_ended = lambda net: seen.append((net.history.stop_reason, net.history.best_epoch, net.parameters.copy()))
    settings = {"solver": solver, "learning_rate_init": 0.02, "random_state": 0, "callbacks": watch, "warm_start": True}
    model = MLPClassifier((9,), early_stopping=True, n_iter_no_change=3, **settings)
    for _ in range(2):  # the best epoch may be one of an earlier fit
        model.fit(X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2])
        history = model.network_.history
        assert history.stop_reason == "early_stopping"
        assert history.best_epoch == np.argmax(model.validation_scores_) + 1 < len(history)
        assert seen[-1][:2] == ("early_stopping", history.best_epoch)
        np.testing.assert_array_equal(seen[-1][2], model.network_.parameters)
    if solver == "adam":
        model = MLPClassifier((9,), tol=0.1, n_iter_no_change=3, **settings).fit(X, Y)
        assert model.network_.history.stop_reason == "early_stopping"
    assert MLPClassifier((9,), max_iter=2, **settings).fit(X, Y).network_.history.stop_reason == "epochs"


def test_the_bar_of_lbfgs_is_closed(monkeypatch, capfd):
    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    model = MLPClassifier((5,), solver="lbfgs", progress=True, random_state=0).fit(X, Y)
    shown = capfd.readouterr().err
    assert shown.endswith("\n")
    last = shown.split("\r")[-1]
    assert f"| {model.n_iter_}/{model.n_iter_} [" in last
    assert f"loss {model.loss_:.4g}, rate 1" in last


def test_watching_lbfgs(capsys):
    data, held = {"X": X[::2], "y": Y[::2]}, {"X_val": X[1::2], "y_val": Y[1::2]}
    settings = {"hidden_layer_sizes": (9,), "solver": "lbfgs", "random_state": 0}
    plain = MLPClassifier(early_stopping=True, **settings).fit(**data)  # no effect, as in scikit-learn
    assert not hasattr(plain, "validation_scores_")
    watched = MLPClassifier(**settings).fit(**data, **held)
    np.testing.assert_array_equal(watched.coefs_[0], plain.coefs_[0])
    history = watched.network_.history
    assert history.stop_reason == "converged"
    assert len(history) == watched.n_iter_ == len(watched.validation_scores_)
    assert watched.validation_scores_[-1] == history.validation_score[-1] == watched.score(X[1::2], Y[1::2])
    assert watched.best_validation_score_ is None
    losses = watched.network_.sample_losses(X[1::2], Y[1::2])
    np.testing.assert_allclose(history.validation_loss[-1], losses.mean(), rtol=1e-12)
    weight = np.where(Y[1::2] == 2, 1.0, 0.0)
    early = MLPClassifier(early_stopping=True, n_iter_no_change=3, verbose=True, scoring="loss", **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        early.fit(**data, **held, sample_weight_val=weight)
    assert early.network_.history.stop_reason == "early_stopping"
    best = int(np.argmax(early.validation_scores_)) + 1
    assert best < early.n_iter_ < watched.n_iter_
    np.testing.assert_allclose(
        early.best_validation_score_, -early.network_.sample_losses(X[1::2], Y[1::2])[weight == 1].mean(), rtol=1e-12
    )
    again = MLPClassifier(max_iter=best, **settings).fit(**data)  # the weights are those of the best iteration
    np.testing.assert_array_equal(early.coefs_[0], again.coefs_[0])
    printed = capsys.readouterr().out
    assert printed.count("Iteration ") == printed.count("Validation score: ") == early.n_iter_
    assert f"Iteration 1, loss = {early.network_.history.loss[0]:.8f}\n" in printed


def test_warm_starts_of_lbfgs_go_on():
    model = MLPClassifier((9,), solver="lbfgs", max_iter=3, warm_start=True, random_state=0)
    losses = [model.fit(X, Y, X_val=X, y_val=Y).loss_ for _ in range(3)]
    assert losses == sorted(losses, reverse=True)
    assert model.n_iter_ == 3
    assert len(model.network_.history) == model.network_.epoch == len(model.validation_scores_) == 9
    assert model.network_.history.stop_reason == "epochs"


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_progress_is_shown(capfd, solver):
    endless = {"max_iter": 10**6, "tol": 0, "n_iter_no_change": np.inf}
    callbacks = [after(0.6), lambda *_: sleep(0.05)]
    MLPClassifier((200,), solver=solver, progress=True, callbacks=callbacks, **endless).fit(X, Y)
    assert "epoch" in capfd.readouterr().err


def after(seconds):
    end = perf_counter() + seconds
    return lambda net, epoch, logs: perf_counter() > end


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_threads_do_not_change_the_result(solver):
    wide = np.random.default_rng(0).normal(size=(3000, 60))
    settings = {"hidden_layer_sizes": (200,), "solver": solver, "max_iter": 2, "batch_size": 1500, "random_state": 0}
    one, four = (MLPRegressor(n_threads=n, **settings).fit(wide, wide[:, 0]) for n in (1, 4))
    np.testing.assert_array_equal(one.coefs_[0], four.coefs_[0])
    np.testing.assert_array_equal(one.predict(wide), four.predict(wide))
    many = clone(four).set_params(n_threads=10**30, batch_size=200).fit(wide[:200], wide[:200, 0])
    np.testing.assert_array_equal(many.predict(wide[:200]), many.set_params(n_threads=1).predict(wide[:200]))


N_THREADS = """
import os, warnings
import numpy as np
from mlpc.estimators import MLPRegressor
def threads():
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(3000, 60))
for solver in ("lbfgs", "adam"):
    model = MLPRegressor(hidden_layer_sizes=(200,), solver=solver, max_iter=2, n_threads=1)
    model.fit(X, X[:, 0], X_val=X, y_val=X[:, 0])
    before = threads()
    model.fit(X, X[:, 0], X_val=X, y_val=X[:, 0]).predict(X)
    model.transform(X)
    assert threads() == before
model.set_params(n_threads=None).predict(X)
print(threads() - before)
"""


def test_one_thread_is_no_worker():
    result = run_python(N_THREADS, MLPC_NUM_THREADS="3")
    assert result.stderr == ""
    assert int(result.stdout) == (2 if Path("/proc/self/task").is_dir() else 0)


# ---- The hidden layer.


def test_transform():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    model = MLPClassifier((7, 3), "tanh", max_iter=5, random_state=0).fit(frame, Y)
    np.testing.assert_array_equal(model.transform(frame), model.network_.transform(X))
    assert model.get_feature_names_out().tolist() == ["mlpclassifier0", "mlpclassifier1", "mlpclassifier2"]
    hidden = model.set_output(transform="pandas").transform(frame)
    assert hidden.columns.tolist() == model.get_feature_names_out().tolist()
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    chained = make_pipeline(MLPClassifier((7, 3), random_state=0), LogisticRegression()).fit(X, Y)
    assert chained.score(X, Y) > 0.9


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_there_is_no_transform_without_a_hidden_layer(kind):
    names = ("transform", "fit_transform", "get_feature_names_out", "set_output")
    model = kind(hidden_layer_sizes=(), max_iter=2)
    for _ in range(2):
        assert not any(hasattr(model, name) for name in names)
        with pytest.raises(AttributeError, match="no attribute 'transform'") as caught:
            model.transform(X)
        assert "transform needs a hidden layer" in str(caught.value.__cause__)
        model.fit(X, Y).set_params(hidden_layer_sizes=3)  # what is fitted counts
    assert all(hasattr(model.fit(X, Y), name) for name in names)
    assert all(hasattr(kind(hidden_layer_sizes=sizes), name) for name in names for sizes in (3, [2, 1], "many"))
    with pytest.raises(TypeError, match="transform"):
        make_pipeline(kind(hidden_layer_sizes=()), LogisticRegression()).fit(X, Y)
    frame = kind(hidden_layer_sizes=3, max_iter=2).set_output(transform="pandas").fit_transform(X, Y)
    assert frame.shape == (150, 3)
    assert "Activations of the last hidden layer" in kind.transform.__doc__


# ---- Rows that lie by columns.


@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_are_put_together_for_shuffling(monkeypatch, early_stopping):
    given = []
    fit = mlpc.Network.fit
    monkeypatch.setattr(
        mlpc.Network, "fit", lambda self, X, *args, **more: given.append(X) or fit(self, X, *args, **more)
    )
    by_columns = np.asfortranarray(X)
    assert not by_columns.flags.c_contiguous
    models = [
        MLPClassifier((5,), batch_size=32, max_iter=3, random_state=0, early_stopping=early_stopping).fit(rows, Y)
        for rows in (X, by_columns, pd.DataFrame(by_columns))
    ]
    assert all(rows.flags.c_contiguous for rows in given)
    first, *others = (model.network_.fingerprint() for model in models)
    assert others == [first, first]
    apart = np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::-2, ::2]  # but by rows
    for rows, settings in [
        (apart, {"batch_size": 32}),
        (by_columns, {"batch_size": 32, "shuffle": False}),
        (by_columns, {"batch_size": len(X)}),
        (by_columns, {"solver": mlpc.Rprop()}),
    ]:
        MLPClassifier((5,), max_iter=1, random_state=0, **settings).fit(rows, Y)
        assert given[-1] is rows


# ---- In company.


def test_pipelines_searches_and_frames():
    data, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    labels = labels.map({0: "malignant", 1: "benign"})
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), MLPClassifier((6,), random_state=0))
    search = GridSearchCV(
        pipeline,
        {"mlpclassifier__alpha": [1e-4, 100.0], "mlpclassifier__solver": ["lbfgs", mlpc.AdamW(0.01)]},
        cv=2,
    )
    search.fit(data[::2], labels[::2])
    assert search.best_params_["mlpclassifier__alpha"] in (1e-4, 100.0)
    assert search.score(data[1::2], labels[1::2]) > 0.94
    assert sorted(np.unique(search.predict(data))) == ["benign", "malignant"]
    assert pickle.loads(pickle.dumps(search)).score(data, labels) == search.score(data, labels)


def test_calibration_and_cross_validation():
    data = StandardScaler().fit_transform(CANCER[0])
    model = MLPClassifier((4,), solver="lbfgs", random_state=0)
    probabilities = cross_val_predict(model, data, CANCER[1], cv=3, method="predict_proba")
    assert probabilities.shape == (569, 2)
    assert np.mean(probabilities.argmax(axis=1) == CANCER[1]) > 0.93
    calibrated = CalibratedClassifierCV(model, cv=3).fit(data, CANCER[1])
    assert calibrated.score(data, CANCER[1]) > 0.95


def test_routing_of_sample_weights():
    weight = np.where(Y == 1, 1e-6, 1.0)
    settings = {"hidden_layer_sizes": (6,), "solver": "lbfgs", "random_state": 0, "max_iter": 30}
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPClassifier(**settings).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        pipeline.fit(X, Y, sample_weight=weight)
        assert pipeline.score(X, Y, sample_weight=weight) > 0.95
        scores = cross_val_score(model, X, Y, cv=3, params={"sample_weight": weight})
    assert (pipeline[-1].predict(X) != 1).mean() > 0.9
    assert len(scores) == 3


def fit_in_worker(seed):
    model = MLPClassifier((8,), max_iter=15, random_state=seed).fit(X, Y)
    return model, _core.N_THREADS, model.predict_proba(X)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers(backend):
    alone = [fit_in_worker(seed) for seed in range(4)]
    inner = {"inner_max_num_threads": 1} if backend == "loky" else {}
    with joblib.parallel_config(backend, n_jobs=2, **inner):
        together = joblib.Parallel()(joblib.delayed(fit_in_worker)(seed) for seed in range(4))
    for (_, _, expected), (model, n_threads, got) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(model.predict_proba(X), expected)
        assert n_threads == (1 if backend == "loky" else _core.N_THREADS)


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_a_callback_keeps_networks_that_share_nothing_with_the_estimator(learning_rate, tmp_path):
    path, copies = tmp_path / "net.safetensors", []

    def keep(net, epoch, logs):
        net.save(path)
        copies.append(net.copy())

    settings = {"learning_rate": learning_rate, "learning_rate_init": 0.1, "max_iter": 30, "random_state": 0}
    model = MLPClassifier((4,), solver="sgd", callbacks=keep, **settings).fit(X, Y)
    rates = model.network_.history.learning_rate
    assert (rates[-1] < 0.1) == (learning_rate == "invscaling")
    loaded = mlpc.load(path)
    assert loaded.parameters.tobytes() == copies[-1].parameters.tobytes() == model.network_.parameters.tobytes()
    for net in (loaded, copies[0]):
        assert net.fit(X, Y, epochs=1).history.learning_rate[-1] == 0.1


def test_a_random_state_that_others_draw_from_meanwhile():
    state, alone = np.random.RandomState(3), np.random.RandomState(3)
    drawn = []
    MLPClassifier((4,), max_iter=3, random_state=alone).fit(X, Y)
    MLPClassifier((4,), max_iter=3, random_state=state, callbacks=lambda *_: drawn.append(state.rand())).fit(X, Y)
    drawn += state.rand(700).tolist()  # goes on, and nothing comes twice
    assert len(set(drawn)) == len(drawn)
    assert alone.rand() != drawn[3]


def run_python(code, **settings):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | settings
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_scikit_learn_is_imported_only_here():
    code = (
        "import sys, mlpc; assert 'sklearn' not in sys.modules; sys.modules['sklearn'] = None; import mlpc.estimators"
    )
    result = run_python(code)
    assert "ImportError: mlpc.estimators needs scikit-learn 1.6 or later: pip install scikit-learn" in result.stderr
