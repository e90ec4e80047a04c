"""Multilayer perceptrons with a core written in C.

Examples
--------
>>> import mlpc
>>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
>>> net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", hidden_activation="tanh", seed=0)
>>> net.optimizer = mlpc.Adam(0.1)
>>> net.fit(X, y, epochs=300).predict(X)
array([0, 1, 1, 0])
"""

from typing import TYPE_CHECKING

from mlpc import _docs as _docs
from mlpc._config import show_config
from mlpc._version import __version__
from mlpc.evaluation import LayerRecord
from mlpc.history import History
from mlpc.losses import Huber, Quantile
from mlpc.network import Network
from mlpc.optimizers import LBFGS, SGD, Adam, AdamW, RMSprop, Rprop
from mlpc.schedules import CosineDecay, ExponentialDecay, InverseScaling, OneCycle, ReduceOnPlateau, StepDecay
from mlpc.stopping import EarlyStopping
from mlpc.training import DivergenceWarning

if TYPE_CHECKING:
    from mlpc import estimators as estimators
    from mlpc import plot as plot
    from mlpc.export import export_c, export_numpy, export_onnx
    from mlpc.gradcheck import GradientCheck, check_gradient
    from mlpc.io import load

__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "AdamW",
    "CosineDecay",
    "DivergenceWarning",
    "EarlyStopping",
    "ExponentialDecay",
    "GradientCheck",
    "History",
    "Huber",
    "InverseScaling",
    "LayerRecord",
    "Network",
    "OneCycle",
    "Quantile",
    "RMSprop",
    "ReduceOnPlateau",
    "Rprop",
    "StepDecay",
    "__version__",
    "check_gradient",
    "export_c",
    "export_numpy",
    "export_onnx",
    "load",
    "show_config",
]

# Imported when they are first asked for: `import mlpc` costs little more than `import numpy`.
_LATER = {
    "GradientCheck": "gradcheck",
    "check_gradient": "gradcheck",
    "export_c": "export",
    "export_numpy": "export",
    "export_onnx": "export",
    "load": "io",
}
_LATER_MODULES = ("estimators", "plot")  # which have requirements of their own


if not TYPE_CHECKING:  # which would take every name for there, an object

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name in _LATER_MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_LATER_MODULES})
