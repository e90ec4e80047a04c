"""Training an estimator's network by scipy's L-BFGS, scikit-learn's: iterations are recorded like epochs."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.optimize import _check_optimize_result

from mlpc._epochs import EpochEnd, tell_end
from mlpc._progress import ProgressBar

if TYPE_CHECKING:
    from mlpc._estimators_base import BaseMLP
    from mlpc._estimators_epochs import Epochs


def descend(
    estimator: BaseMLP, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any], iterations: Epochs
) -> None:
    """Minimise the objective of `estimator.network_` over all rows; `iterations` judges each iteration and may stop."""
    from scipy.optimize import minimize

    network, max_iter = estimator.network_, int(estimator.max_iter)
    X_val, y_val, weight_val = validation
    callbacks = iterations.callbacks()
    bar = ProgressBar(max_iter, network.epoch) if estimator.progress else None
    judge = EpochEnd(
        network,
        callbacks,
        network._added,
        len(network.history),
        validated=X_val is not None,
        bar=bar,
        stopping=None,
        plateau=None,
    )
    stopped = False

    def objective(vector: np.ndarray[Any, Any]) -> tuple[float, Any]:
        value, gradient = network.objective_and_gradient(
            X, y, sample_weight=sample_weight, parameters=vector.astype(network.dtype)
        )
        return value, gradient.astype(np.float64)

    def end_iteration(intermediate_result: Any) -> None:
        nonlocal stopped
        network.parameters = intermediate_result.x
        validation_loss = np.nan
        if X_val is not None:
            validation_loss = float(np.average(network.sample_losses(X_val, y_val), weights=weight_val))
        numbers = (float(intermediate_result.fun), validation_loss, 1.0)  # L-BFGS searches its steps around 1
        network._record_epoch(*numbers)
        stopped, *_ = judge(network.epoch, *numbers)
        if stopped:
            raise StopIteration

    with network._as_writer("fit"), bar or nullcontext():
        result = minimize(
            objective,
            network.parameters.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            options={"maxfun": estimator.max_fun, "maxiter": max_iter, "gtol": estimator.tol},
            callback=end_iteration,
        )
        network.parameters = result.x
        if bar:
            bar.show_last(network)
    estimator.loss_ = np.float64(result.fun)
    network._best_epoch = None  # of an earlier fit
    if stopped:
        network._stop_reason = "callback"
    else:
        estimator.n_iter_ = _check_optimize_result("lbfgs", result, max_iter)
        network._stop_reason = "converged" if result.status == 0 else "epochs"
    tell_end(network, callbacks)
