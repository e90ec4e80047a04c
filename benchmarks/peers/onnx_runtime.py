"""ONNX Runtime: prediction alone, the network as a graph of Gemm and Relu."""

from typing import Any

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from peers import THREADS, Job
from workloads import Workload


def prepare(work: Workload) -> Job | None:
    if work.kind != "predict":
        return None
    X, _ = work.data()
    nodes, constants, name = [], [], "X"
    for layer, (W, b) in enumerate(work.weights(), start=1):
        constants += [numpy_helper.from_array(W, f"W{layer}"), numpy_helper.from_array(b, f"b{layer}")]
        nodes.append(helper.make_node("Gemm", [name, f"W{layer}", f"b{layer}"], [f"Z{layer}"]))
        nodes.append(helper.make_node("Relu", [f"Z{layer}"], [f"A{layer}"]))
        name = f"A{layer}"
    nodes.pop()
    ends = [
        helper.make_tensor_value_info(end, TensorProto.FLOAT, [None, n])
        for end, n in (("X", work.layer_sizes[0]), (nodes[-1].output[0], work.layer_sizes[-1]))
    ]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    value: Any = None

    def predict(times: int) -> None:
        nonlocal value
        for _ in range(times):
            (value,) = session.run(None, {"X": X})

    return Job(predict, lambda: [value])
