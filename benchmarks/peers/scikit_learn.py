"""scikit-learn: MLPClassifier and MLPRegressor, going on from where they are (warm_start).

It has no call for a gradient: that row is a full-batch step, whose update is a thousandth of it.
"""

import warnings
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from peers import Job
from workloads import SQUARES, Workload

ACTIVATIONS = {"relu": "relu", "sigmoid": "logistic", "tanh": "tanh"}


def prepare(work: Workload) -> Job | None:
    if work.hidden not in ACTIVATIONS or work.output:
        return None
    X, y = work.data()
    if y.shape[1:] == (1,):
        y = y.ravel()
    kind = MLPRegressor if work.loss == SQUARES else MLPClassifier
    model = kind(
        hidden_layer_sizes=work.layer_sizes[1:-1],
        activation=ACTIVATIONS[work.hidden],
        solver=work.optimizer,
        alpha=0.0,
        batch_size=min(work.batch_size, len(y)),
        learning_rate_init=work.learning_rate,
        shuffle=False,
        random_state=0,
        tol=0.0,
        n_iter_no_change=10**9,
        momentum=0.0,
        epsilon=1e-8 * 0.001**0.5,  # added before the correction of the bias, here that of the first step
        warm_start=True,
    )
    value: Any = None

    def train(times: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for epochs in work.calls(times):
                model.set_params(max_iter=epochs).fit(X[: len(y)], y)

    def predict(times: int) -> None:
        nonlocal value
        for _ in range(times):
            value = model.predict(X)

    def parameters() -> list[Any]:
        return [array for pair in zip(model.coefs_, model.intercepts_, strict=True) for array in pair]

    def first_gradient() -> list[Any]:
        """Told from the first step."""
        moved = [start - now for start, now in zip(beginning, parameters(), strict=True)]
        return [model.loss_, *(array / work.learning_rate for array in moved)]

    beginning = [array for pair in work.weights() for array in pair]
    train(1)  # so that the model has weights, to be replaced by those that everybody starts from
    for array, start in zip(parameters(), beginning, strict=True):
        array[...] = start
    if work.kind == "train":
        return Job(train, parameters)
    if work.kind == "gradient":
        return Job(train, first_gradient)
    return Job(predict, lambda: [value])
