"""Estimators around a network that is there, and scikit-learn's own estimators with the weights of a fitted one."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn.neural_network
from sklearn.base import is_classifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from mlpc import _core
from mlpc._estimators_attributes import SKLEARN_NAMES

if TYPE_CHECKING:
    from mlpc.network import Network

_SKLEARN_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
_SKLEARN_LOSSES = {  # by the network's
    "binary_cross_entropy": "log_loss",
    "categorical_cross_entropy": "log_loss",
    "half_squared_error": "squared_error",
    "squared_error": "squared_error",  # of a network that has not been trained as an estimator's
    "poisson": "poisson",
}
_TRAINED = {  # what scikit-learn's training goes on from, and where it begins
    "n_iter_": 0,
    "t_": 0,
    "loss_": np.nan,
    "loss_curve_": [],
    "best_loss_": np.inf,
    "validation_scores_": None,
    "best_validation_score_": None,
    "_no_improvement_count": 0,
}


class Conversions:
    """The ways from a network to an estimator and from that to scikit-learn's."""

    @classmethod
    def _around(cls, net: Network, params: dict[str, Any], **own: Any) -> Any:
        """Return an estimator with a copy of `net`, whose parameters are the network's, `own` and `params`."""
        spec = net._spec
        if not spec.bias:
            raise ValueError("net must have biases, as the networks of estimators do, got one with bias=False")
        hidden, names = spec.layer_sizes[1:-1], _sklearn_names(net)
        fixed = {"hidden_layer_sizes": hidden, "activation": names[0] if len(set(names)) == 1 else names, **own}
        if not hidden:
            del fixed["activation"]
        for name in params.keys() & fixed.keys():
            raise ValueError(f"{name} is read off the network, {fixed[name]!r}: leave it out")
        halves = spec.loss_name == "squared_error"  # an estimator's is half of it, so its penalties are, too
        penalties = {"alpha": ("l2", spec.l2), "l1": ("l1", spec.l1)}
        read: dict[str, Any] = {name: value / 2 if halves else value for name, (_, value) in penalties.items()}
        read |= {"solver": net.optimizer, "initializer": spec.initializer, "dropout": spec.dropout if hidden else 0.0}
        for name, (of_network, value) in penalties.items():
            if value and spec.reduction == "mean" and name not in params:
                times = "half the rows" if halves else "the rows"
                raise ValueError(
                    f"{name} must be given for a network with reduction='mean': its {of_network}={value} is not "
                    f"divided by a batch's sum of weights, as {name} is; that times {times} of a batch is the same"
                )
        estimator: Any = cls(**fixed, **(read | params))
        estimator.network_ = net.copy()
        estimator.n_features_in_ = spec.layer_sizes[0]
        estimator.n_iter_, estimator.t_ = net.epoch, 0
        estimator._rate = float(estimator.learning_rate_init)  # partial_fit goes on with the optimizer's state
        return estimator

    def to_sklearn(self: Any) -> Any:
        """The same model as scikit-learn's own class, for what tests for that: converters, explainers.

        What only training reads and scikit-learn has not is left out: dropout, l1, class weights, a solver object.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
            Fitted; it shares nothing with this one.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If scikit-learn has no such loss, activation or network.

        Examples
        --------
        >>> from mlpc.estimators import MLPRegressor
        >>> model = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs").fit([[0.0], [1.0]], [1.0, 3.0])
        >>> type(model.to_sklearn()).__module__.startswith("sklearn.")
        True
        """
        check_is_fitted(self)
        net, names = self.network_, _sklearn_names(self.network_)
        kind = getattr(sklearn.neural_network, "MLPClassifier" if is_classifier(self) else "MLPRegressor")
        parameters = {name: getattr(self, name) for name in kind().get_params().keys() & self.get_params().keys()}
        loss = _SKLEARN_LOSSES.get(net._spec.loss_name)
        if loss is None or (loss == "poisson" and "loss" not in parameters):
            raise ValueError(f"to_sklearn: scikit-learn's {kind.__name__} has no loss {net.loss!r}")
        if net.output_activation != _core.LOSSES[net._spec.loss_name]:
            raise ValueError(
                f"to_sklearn: scikit-learn has no output activation {self.out_activation_!r} for its losses"
            )
        if len(set(names)) > 1 or not set(names) <= set(_SKLEARN_ACTIVATIONS):
            one_of = ", ".join(map(repr, _SKLEARN_ACTIVATIONS))
            raise ValueError(f"to_sklearn: scikit-learn has one activation for all layers of {one_of}, got {names}")
        if not net.biases:
            raise ValueError("to_sklearn: scikit-learn has no networks without biases")
        parameters["hidden_layer_sizes"] = net.layer_sizes[1:-1]
        parameters["activation"] = names[0] if names else "relu"
        if "loss" in parameters:
            parameters["loss"] = loss
        if parameters["solver"] not in ("lbfgs", "sgd", "adam"):
            del parameters["solver"]
        model = kind(**parameters)
        fitted = {name: getattr(self, name, start) for name, start in _TRAINED.items()}
        for name in ("n_features_in_", "feature_names_in_", "classes_", "_label_binarizer"):
            if hasattr(self, name):
                fitted[name] = getattr(self, name)
        fitted |= {name: getattr(self, name) for name in ("n_layers_", "n_outputs_", "out_activation_")}
        for name in ("coefs_", "intercepts_"):
            fitted[name], fitted[f"_best_{name[:-1]}"] = list(getattr(self, name)), list(getattr(self, name))
        if self.early_stopping and fitted["validation_scores_"] is None:
            fitted["validation_scores_"], fitted["best_validation_score_"] = [], -np.inf
        if loss == "log_loss" and fitted["out_activation_"] == "softmax" and net.layer_sizes[-1] == 2:
            _make_one_sigmoid(fitted)
        vars(model).update(copy.deepcopy(fitted))
        return model


def _make_one_sigmoid(fitted: dict[str, Any]) -> None:
    """Of a softmax of two, which scikit-learn has not, make the same model: one logit is the difference of two."""
    for name in ("coefs_", "intercepts_"):
        last = fitted[name][-1]
        one = last[..., 1:] - last[..., :1]
        fitted[name][-1] = fitted[f"_best_{name[:-1]}"][-1] = one
    fitted |= {"n_outputs_": 1, "out_activation_": "logistic"}
    fitted["_label_binarizer"] = LabelBinarizer().fit(fitted["classes_"])


def _sklearn_names(net: Network) -> tuple[str, ...]:
    """Activations of the hidden layers as scikit-learn names them."""
    return tuple(SKLEARN_NAMES.get(name, name) for name in net._spec.activations[:-1])
