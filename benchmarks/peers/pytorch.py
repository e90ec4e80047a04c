"""PyTorch, eager, with its fused optimizers; it reads the arrays in place."""

from typing import Any

import torch
from torch import nn

from peers import THREADS, Job
from workloads import LOGISTIC, SOFTMAX, Workload

torch.set_num_threads(THREADS)

HIDDEN = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


def half_squares(a: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.mse_loss(a, y, reduction="sum") / (2 * len(a))


def prepare(work: Workload) -> Job:
    X, y = (torch.from_numpy(array) for array in work.data())
    layers: list[nn.Module] = []
    for (n_in, n_out), (W, b) in zip(work.shapes, work.weights(), strict=True):
        linear = nn.Linear(n_in, n_out)
        linear.weight, linear.bias = (nn.Parameter(torch.from_numpy(array.T.copy())) for array in (W, b))
        layers += [linear, HIDDEN[work.hidden]()]
    layers[-1:] = [nn.Sigmoid()] if work.output == "sigmoid" else []
    model: Any = nn.Sequential(*layers)
    criterion: Any = {SOFTMAX: nn.CrossEntropyLoss(), LOGISTIC: nn.BCEWithLogitsLoss()}.get(work.loss, half_squares)
    if work.loss != SOFTMAX:
        y = y.reshape(len(y), -1)
    kind = torch.optim.SGD if work.optimizer == "sgd" else torch.optim.Adam
    optimizer = kind(model.parameters(), lr=work.learning_rate, fused=True)
    value: Any = None

    def train(times: int) -> None:
        for _ in range(sum(work.calls(times))):
            for start in range(0, len(X), work.batch_size):
                rows = slice(start, start + work.batch_size)
                optimizer.zero_grad(set_to_none=True)
                criterion(model(X[rows]), y[rows]).backward()
                optimizer.step()

    def gradient(times: int) -> None:
        nonlocal value
        for _ in range(times):
            optimizer.zero_grad(set_to_none=True)
            value = criterion(model(X), y)
            value.backward()

    def predict(times: int) -> None:
        nonlocal value
        with torch.inference_mode():
            for _ in range(times):
                value = model(torch.from_numpy(X_array)).numpy()

    X_array = X.numpy()  # where a caller's rows are
    if work.kind == "train":
        return Job(train, lambda: [p.detach().numpy().T for p in model.parameters()])
    if work.kind == "gradient":
        return Job(gradient, lambda: [value.item(), *(p.grad.numpy().T for p in model.parameters())])
    return Job(predict, lambda: [value])
