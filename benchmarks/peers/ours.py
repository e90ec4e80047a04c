"""mlpc, as its users call it: one fit over whole epochs."""

from typing import Any

import mlpc
from peers import Job
from workloads import Workload


def prepare(work: Workload) -> Job:
    X, y = work.data()
    optimizer: Any = mlpc.SGD(work.learning_rate) if work.optimizer == "sgd" else mlpc.Adam(work.learning_rate)
    net = mlpc.Network(
        work.layer_sizes,
        loss=work.loss,
        hidden_activation=work.hidden,
        output_activation=work.output or None,
        optimizer=optimizer,
        dtype=work.dtype,
    )
    parameters = [array for pair in zip(net.weights, net.biases, strict=True) for array in pair]
    for array, start in zip(parameters, (array for pair in work.weights() for array in pair), strict=True):
        array[...] = start
    value: Any = None

    def train(times: int) -> None:
        for epochs in work.calls(times):
            net.fit(X, y, epochs=epochs, batch_size=work.batch_size, shuffle=False, on_divergence="raise")

    def gradient(times: int) -> None:
        nonlocal value
        for _ in range(times):
            value = net.objective_and_gradient(X, y)

    def predict(times: int) -> None:
        nonlocal value
        for _ in range(times):
            value = net.predict_proba(X)

    if work.kind == "train":
        return Job(train, lambda: parameters)
    if work.kind == "gradient":
        return Job(gradient, lambda: [value[0], value[1]])
    return Job(predict, lambda: [value])
