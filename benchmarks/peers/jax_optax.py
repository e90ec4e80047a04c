"""JAX with optax: a whole epoch (of a run, all of them) compiled into one program, whose arrays are updated in place.

Compilation is not timed. Of one row to predict the NumPy array comes and goes; larger data are JAX's own beforehand.
"""

from contextlib import nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from peers import Job
from workloads import LOGISTIC, SOFTMAX, Workload

HIDDEN: dict[str, Any] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": partial(jax.nn.gelu, approximate=False),
}


def prepare(work: Workload) -> Job:
    doubles = partial(jax.enable_x64, True) if work.dtype == "float64" else nullcontext
    g = HIDDEN[work.hidden]

    def outputs(parameters: Any, X: Any) -> Any:
        for layer, (W, b) in enumerate(parameters):
            X = X @ W + b
            X = g(X) if layer + 1 < len(parameters) else X
        return jax.nn.sigmoid(X) if work.output == "sigmoid" else X

    def objective(parameters: Any, X: Any, y: Any) -> Any:
        z = outputs(parameters, X)
        if work.loss == SOFTMAX:
            return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()
        y = y.reshape(z.shape)
        if work.loss == LOGISTIC:
            return optax.sigmoid_binary_cross_entropy(z, y).mean()
        return 0.5 * jnp.square(z - y).sum() / len(z)

    optimizer = {"sgd": optax.sgd, "adam": optax.adam}[work.optimizer](work.learning_rate)

    def step(carry: Any, batch: Any) -> Any:
        parameters, state = carry
        value, gradient = jax.value_and_grad(objective)(parameters, *batch)
        updates, state = optimizer.update(gradient, state, parameters)
        return (optax.apply_updates(parameters, updates), state), value

    @partial(jax.jit, donate_argnums=0)
    def program(carry: Any, X: Any, y: Any) -> Any:
        """Train for an epoch, or a run: `jit` of `lax.scan`."""
        if work.run_epochs:  # full batches
            return jax.lax.scan(lambda carry, _: step(carry, (X, y)), carry, length=work.run_epochs)
        batches = (array.reshape(work.n_batches, work.batch_size, *array.shape[1:]) for array in (X, y))
        return jax.lax.scan(step, carry, tuple(batches))

    with doubles():
        X_array, y_array = work.data()
        y_array = y_array.astype(np.int32) if work.loss == SOFTMAX else y_array
        X, y = (jnp.array(array) for array in (X_array, y_array))
        parameters = [(jnp.array(W), jnp.array(b)) for W, b in work.weights()]
        carry: Any = (parameters, optimizer.init(parameters))
        evaluate, forward = jax.jit(jax.value_and_grad(objective)), jax.jit(outputs)
    losses: Any = None
    value: Any = None

    def train(times: int) -> None:
        nonlocal carry, losses
        for _ in range(times):
            carry, losses = program(carry, X, y)
        losses.block_until_ready()  # the whole program is done then

    def gradient(times: int) -> None:
        nonlocal value
        with doubles():
            for _ in range(times):
                value = evaluate(parameters, X, y)
                value[0].block_until_ready()

    def predict(times: int) -> None:
        nonlocal value
        rows = X_array if work.batch_size == 1 else X
        for _ in range(times):
            value = np.asarray(forward(parameters, rows))

    if work.kind == "train":
        return Job(train, lambda: [np.asarray(array) for array in jax.tree.leaves(carry[0])])
    if work.kind == "gradient":
        return Job(gradient, lambda: [np.asarray(array) for array in jax.tree.leaves(value)])
    return Job(predict, lambda: [value])
