"""FANN, the Fast Artificial Neural Network Library, through its shared library: one sample at a time.

`fann_train_epoch` does a whole epoch in C: forward, backward and update of each sample in turn, on its squared error.
"""

import ctypes
import ctypes.util
from typing import Any

import numpy as np

from peers import Job
from workloads import SQUARES, Workload

INCREMENTAL, LINEAR_ERROR, SIGMOID = 0, 0, 3  # of fann_train_enum, fann_errorfunc_enum, fann_activationfunc_enum
Floats = ctypes.POINTER(ctypes.c_float)
FILL = ctypes.CFUNCTYPE(None, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, Floats, Floats)


class Connection(ctypes.Structure):
    _fields_ = (("source", ctypes.c_uint), ("target", ctypes.c_uint), ("weight", ctypes.c_float))


def prepare(work: Workload) -> Job | None:
    sigmoids = work.hidden == work.output == "sigmoid"
    if work.batch_size > 1 or work.kind != "train" or work.loss != SQUARES or not sigmoids or work.optimizer != "sgd":
        return None
    fann = ctypes.CDLL(ctypes.util.find_library("floatfann"))
    fann.fann_create_standard_array.restype = fann.fann_create_train_from_callback.restype = ctypes.c_void_p
    fann.fann_train_epoch.restype = ctypes.c_float
    sizes = (ctypes.c_uint * len(work.layer_sizes))(*work.layer_sizes)
    net = ctypes.c_void_p(fann.fann_create_standard_array(len(sizes), sizes))
    fann.fann_set_training_algorithm(net, INCREMENTAL)
    fann.fann_set_train_error_function(net, LINEAR_ERROR)
    fann.fann_set_activation_function_hidden(net, SIGMOID)
    fann.fann_set_activation_function_output(net, SIGMOID)
    fann.fann_set_learning_rate(net, ctypes.c_float(work.learning_rate))

    # Connections are listed by unit: its weights, then its bias.
    start = np.concatenate([np.vstack([W, b]).T.ravel() for W, b in work.weights()])
    connections = (Connection * len(start))()
    fann.fann_get_connection_array(net, connections)
    for connection, weight in zip(connections, start, strict=True):
        connection.weight = weight
    fann.fann_set_weight_array(net, connections, len(start))

    X, y = work.data()

    def fill(row: int, _n_in: int, _n_out: int, inputs: Any, output: Any) -> None:
        for i, value in enumerate(X[row]):
            inputs[i] = value
        output[0] = y[row]

    data = ctypes.c_void_p(fann.fann_create_train_from_callback(len(X), X.shape[1], 1, FILL(fill)))

    def train(times: int) -> None:
        for _ in range(times):
            fann.fann_train_epoch(net, data)

    def result() -> list[Any]:
        fann.fann_get_connection_array(net, connections)
        stored = np.array([connection.weight for connection in connections], np.float32)
        arrays, offset = [], 0
        for n_in, n_out in work.shapes:
            by_unit = stored[offset : offset + (n_in + 1) * n_out].reshape(n_out, n_in + 1)
            arrays += [by_unit[:, :-1].T, by_unit[:, -1]]
            offset += by_unit.size
        return arrays

    return Job(train, result)
