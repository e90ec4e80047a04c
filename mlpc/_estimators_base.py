"""What both estimators share: from scikit-learn's parameters to an `mlpc.Network`, its training, and back.

Checks are scikit-learn's where it has them; the network's are the rest.
"""

from __future__ import annotations

import copy
import operator
import sys
import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager
from inspect import signature
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from mlpc._arrays import with_rows_together
from mlpc._check import integer
from mlpc._estimators_attributes import SKLEARN_NAMES, OfNetwork, Parameters
from mlpc._estimators_convert import Conversions
from mlpc._estimators_epochs import Epochs, as_sklearn
from mlpc._estimators_failure import as_before_on_failure
from mlpc._estimators_lbfgs import descend
from mlpc._estimators_params import SettingsAsParameters
from mlpc._spec import HIDDEN_ACTIVATIONS, check_spec
from mlpc.initializers import NAMES as INITIALIZERS
from mlpc.network import Network
from mlpc.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from mlpc.schedules import ReduceOnPlateau

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlpc.losses import Loss

FLOATS = (np.float64, np.float32)  # the first is made of what is neither
_OF_NAMED_SOLVERS = (
    *("learning_rate", "learning_rate_init", "power_t"),
    *("momentum", "nesterovs_momentum", "beta_1", "beta_2", "epsilon"),
)
_ACTIVATIONS = {name: own for own, name in SKLEARN_NAMES.items()}


class BaseMLP(Conversions, SettingsAsParameters, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """Base of the two estimators."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"logistic", *HIDDEN_ACTIVATIONS}), "array-like"],
        "solver": [StrOptions({"lbfgs", "sgd", "adam", "adamw", "rmsprop"}), Optimizer],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "l1": [Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
        "initializer": [StrOptions(set(INITIALIZERS)), callable, None],
        "callbacks": [callable, list, tuple, None],
        "progress": ["boolean"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    network_: Network

    def _store(self, parameters: dict[str, Any]) -> None:
        """Keep what a constructor was called with, its `locals()`, each under its name and nothing else."""
        self.__dict__.update((name, value) for name, value in parameters.items() if name != "self")

    # ---- What the classifier and the regressor say for themselves.

    @abstractmethod
    def _encode(self, X: Any, y: Any, *, incremental: bool, reset: bool, classes: Any) -> tuple[Any, Any, Any]:
        """Return checked X, y as the network's rows of targets, and class weights by row or None.

        `classes`: what partial_fit of a classifier was called with.
        """

    @abstractmethod
    def _encode_validation(self, y: Any) -> Any:
        """Return rows of targets of a validation set that the caller brought."""

    @abstractmethod
    def _outputs(self, y: Any) -> tuple[int, str | Loss]:
        """Return how many outputs the network has and its loss, as `mlpc.Network` names it."""

    @abstractmethod
    def _default_score(self, X: Any, y: Any, sample_weight: Any) -> float:
        """Return the score of predictions for checked X and the network's rows of targets."""

    @abstractmethod
    def _decode(self, y: Any) -> Any:
        """Return the network's rows of targets as the caller had them."""

    # ---- Fitting.

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        *,
        incremental: bool,
        classes: Any = None,
    ) -> Any:
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        hidden = _sizes(self.hidden_layer_sizes)
        self._warn_unread()
        first = not hasattr(self, "network_") or (not self.warm_start and not incremental)
        if not first and hidden != list(self.network_.layer_sizes[1:-1]):
            there = list(self.network_.layer_sizes[1:-1])
            if incremental:
                raise ValueError(f"hidden_layer_sizes must stay {there} while partial_fit goes on, got {hidden}")
            warnings.warn(
                f"warm_start goes on with a network of hidden_layer_sizes {there}, not {hidden}", stacklevel=3
            )
        diverged = False
        with as_before_on_failure(self, first=first, incremental=incremental):
            X, y, class_weight = self._encode(X, y, incremental=incremental, reset=first, classes=classes)
            sample_weight = _checked_weights("sample_weight", sample_weight, X)
            validation = self._check_validation(*validation, n_columns=y.shape[1])

            random_state = check_random_state(self.random_state)
            self._prepare_network(X, y, hidden, random_state, first=first)
            self._limit_threads()
            network = self.network_
            network._is_fitting = True
            try:
                if self._is_lbfgs():
                    self._fit_lbfgs(X, y, _product(sample_weight, class_weight), validation, first=first)
                else:
                    weights = (sample_weight, class_weight)
                    how = {"first": first, "incremental": incremental}
                    diverged = self._fit_epochs(X, y, weights, validation, random_state, **how)
            finally:
                del network._is_fitting
            if not (self.warm_start or incremental):  # there may be many fitted ones
                self.network_._release()
        if diverged:
            self._answer_divergence()
        return self

    def _check_validation(self, X: Any, y: Any, sample_weight: Any, *, n_columns: int) -> tuple[Any, Any, Any]:
        if X is None and y is None:
            if sample_weight is not None:
                raise ValueError("sample_weight_val is provided, but X_val and y_val were not provided.")
            return None, None, None
        if y is None:
            raise ValueError("X_val is provided, but y_val was not provided.")
        if X is None:
            raise ValueError("y_val is provided, but X_val was not provided.")
        with named("X_val"):
            X = validate_data(self, X, accept_sparse="csr", dtype=FLOATS, reset=False)
        with named("y_val"):
            shape = y.shape if hasattr(y, "shape") else np.shape(y)
        if shape[1:] != (n_columns,) and (shape[1:] or n_columns > 1):
            raise ValueError(f"y_val must have as many columns as y, {n_columns}, got shape {shape}")
        with named("y_val"):
            y = self._encode_validation(y)
        if y.shape[0] != X.shape[0]:
            raise ValueError(f"X_val and y_val must have as many rows, got {X.shape[0]} and {y.shape[0]}")
        return X, y, _checked_weights("sample_weight_val", sample_weight, X)

    # ---- The network.

    def _limit_threads(self) -> None:
        """Tell the network what `n_threads` is now; it is not kept by model files and pickle."""
        given = self.n_threads
        self.network_._n_threads = 0 if given is None else min(integer("n_threads", given, 1, np.inf), sys.maxsize)

    def _is_lbfgs(self) -> bool:
        return isinstance(self.solver, str) and self.solver == "lbfgs"

    def _solver_rate(self) -> str:
        """How the learning rate changes."""
        return self.learning_rate if isinstance(self.solver, str) and self.solver == "sgd" else "constant"

    def _warn_unread(self) -> None:
        """Name what was set and is not read where `solver` is an object."""
        if not isinstance(self.solver, Optimizer):
            return
        known = signature(type(self)).parameters
        unread = [name for name in _OF_NAMED_SOLVERS if name in known and getattr(self, name) != known[name].default]
        if unread:
            warnings.warn(
                f"{', '.join(unread)} without effect: solver={self.solver!r} has settings of its own", stacklevel=5
            )

    def _make_optimizer(self) -> Optimizer:
        if isinstance(self.solver, Optimizer):
            return self.solver
        rate, epsilon = float(self.learning_rate_init), float(self.epsilon)  # scikit-learn takes True for 1, too
        if self.solver == "sgd":
            nesterov = bool(self.nesterovs_momentum) and self.momentum > 0
            return SGD(rate, float(self.momentum), nesterov, classic=True)
        if self.solver == "rmsprop":
            return RMSprop(rate, epsilon=epsilon)
        averages = (rate, float(self.beta_1), float(self.beta_2), epsilon)
        return AdamW(*averages) if self.solver == "adamw" else Adam(*averages, classic=True)

    def _multiplier(self, epoch: int) -> float:
        return float(self._rate / self.learning_rate_init)

    def _prepare_network(
        self, X: Any, y: Any, hidden: list[int], random_state: np.random.RandomState, *, first: bool
    ) -> None:
        """Make the network, or give the one there is what may have been set since."""
        one_for_all = isinstance(self.activation, str)
        names = [self.activation] if one_for_all else list(self.activation)
        names = [_ACTIVATIONS.get(name, name) if isinstance(name, str) else name for name in names]
        output: Any = getattr(self, "output_activation", None)  # a classifier's is fixed by its loss
        n_outputs, loss = self._outputs(y)
        settings: dict[str, Any] = {
            "layer_sizes": [X.shape[1], *hidden, n_outputs] if first else self.network_.layer_sizes,
            "loss": loss,
            "hidden_activation": names[0] if one_for_all else names,
            "output_activation": _ACTIVATIONS.get(output, output),
            "reduction": "penalized_mean",
            "l1": float(self.l1),
            "l2": float(self.alpha),
            "dropout": float(self.dropout) if isinstance(self.dropout, Real) else self.dropout,
            "initializer": "glorot_uniform" if self.initializer is None else self.initializer,
            "dtype": X.dtype if first else self.network_.dtype,
        }
        try:
            spec = check_spec(**settings, bias=True)
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).removeprefix("hidden_")) from None  # it is named activation here
        if self._is_lbfgs() and any(spec.rates):
            raise ValueError(f"dropout must be 0 with solver='lbfgs', got {self.dropout!r}")
        if not first:
            if spec != self.network_._spec:
                state = self.network_.__getstate__()
                state["attributes"]["_spec"] = spec
                self.network_ = Network.__new__(Network)
                self.network_.__setstate__(state)
            return
        # What the network draws for itself (dropout, other initial weights) takes nothing from the estimator's stream.
        own = isinstance(self.random_state, Integral)
        seed = int(self.random_state) if own else int(copy.deepcopy(random_state).randint(2**31 - 1))
        network = Network(**settings, optimizer=SGD() if self._is_lbfgs() else self._make_optimizer(), seed=seed)
        if self.initializer is None:
            self._draw_parameters(network, names, random_state)
        self.network_ = network
        self.n_iter_, self.t_ = 0, 0
        for name in ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_", "_rate"):
            self.__dict__.pop(name, None)

    def _draw_parameters(self, network: Network, names: list[str], random_state: np.random.RandomState) -> None:
        """Draw weights and biases as scikit-learn does: Glorot and Bengio (2010), sigmoids from a narrower range."""
        last = len(network.weights) - 1
        for layer, (weights, biases) in enumerate(zip(network.weights, network.biases, strict=True)):
            # The output layer follows the layer before it.
            name = names[0] if len(names) == 1 else names[min(layer, last - 1)] if names else "identity"
            bound = np.sqrt((2.0 if name == "sigmoid" else 6.0) / sum(weights.shape))
            weights[...] = random_state.uniform(-bound, bound, weights.shape)
            biases[...] = random_state.uniform(-bound, bound, biases.shape)

    # ---- By epochs.

    def _fit_epochs(
        self,
        X: Any,
        y: Any,
        weights: tuple[Any, Any],
        validation: tuple[Any, Any, Any],
        random_state: np.random.RandomState,
        *,
        first: bool,
        incremental: bool,
    ) -> bool:
        """Train by epochs, `weights` those of the samples and of their classes; return whether that diverged."""
        self._start_epochs(incremental=incremental)
        if self.early_stopping and validation[0] is None:
            X, y, weights, validation = self._split(X, y, weights, random_state)
        X_val, y_val, weight_val = validation
        schedule = self.network_.optimizer.schedule
        if X_val is None and isinstance(schedule, ReduceOnPlateau) and schedule.monitor == "validation_loss":
            raise ValueError(
                "the schedule of solver monitors 'validation_loss': pass X_val and y_val to fit, set "
                "early_stopping=True, or let it monitor 'loss'"
            )
        n_samples = X.shape[0]
        rows_a_step = self._rows_a_step(n_samples)
        if self.shuffle and isinstance(X, np.ndarray) and (rows_a_step or n_samples) < n_samples:
            X = with_rows_together(X)
        epochs = Epochs(self, n_samples, self._score_of_epoch(*validation))
        if not first:
            epochs.judge_start(self.network_, *validation)
        diverged = False
        shared = not isinstance(self.random_state, Integral)
        try:
            rates = None if self._solver_rate() == "constant" else self._multiplier
            with as_sklearn(self.network_, random_state, shared=shared, rates=rates):
                self.network_.fit(
                    X,
                    y,
                    epochs=1 if incremental else int(self.max_iter),
                    batch_size=rows_a_step,
                    shuffle=bool(self.shuffle),
                    sample_weight=_product(*weights),
                    validation_data=None if X_val is None else (X_val, y_val) if weight_val is None else validation,
                    callbacks=epochs.callbacks(),
                    progress=bool(self.progress),
                )
                diverged = self.network_._stop_reason == "diverged"
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        if diverged:
            epochs.diverged()
        epochs.fit_ended(self.network_)  # again where the network's fit called it: an interrupt keeps it from that
        to_its_end = self.network_._stop_reason == "epochs" and self.n_iter_ == self.max_iter
        if to_its_end and not incremental and not epochs.stopped:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )
        if not diverged:
            epochs.warn_unjudged()
        return diverged

    def _start_epochs(self, *, incremental: bool) -> None:
        """Attributes of training and the optimizer, which a fit begins anew; curves go on after a warm start."""
        network, optimizer = self.network_, self._make_optimizer()
        if not incremental or not hasattr(self, "_rate"):
            self._rate = float(self.learning_rate_init)
            network.optimizer = Adam() if isinstance(optimizer, SGD) else SGD()  # another class drops the state
        network.optimizer = optimizer
        self.n_iter_, self.loss_ = 0, np.float64(np.nan)
        if not hasattr(self, "loss_curve_"):
            self.loss_curve_: list[float] = []
            self.best_loss_: Any = None
        if not self.early_stopping and self.best_loss_ is None:
            self.best_loss_ = np.inf
        self._start_scores()

    def _start_scores(self) -> None:
        if not hasattr(self, "validation_scores_"):
            self.validation_scores_: list[float] | None = None
            self.best_validation_score_: Any = None
            self._no_improvement_count = 0
        if self.early_stopping and self.best_validation_score_ is None:
            self.best_validation_score_ = -np.inf

    def _split(
        self, X: Any, y: Any, weights: tuple[Any, Any], random_state: np.random.RandomState
    ) -> tuple[Any, Any, tuple[Any, Any], tuple[Any, Any, Any]]:
        """Set rows aside for validation, those that scikit-learn takes: stratified for one binary output.

        Their classes have no weights there.
        """
        train, held_out = train_test_split(
            np.arange(X.shape[0]),
            random_state=random_state,
            test_size=self.validation_fraction,
            stratify=y if is_classifier(self) and self.n_outputs_ == 1 else None,
        )
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        sample_weight, class_weight = (None if w is None else w[train] for w in weights)
        weight_val = None if weights[0] is None else weights[0][held_out]
        return X[train], y[train], (sample_weight, class_weight), (X[held_out], y[held_out], weight_val)

    def _rows_a_step(self, n_samples: int) -> int | None:
        if self.network_.optimizer.full_batch:
            return None
        if isinstance(self.batch_size, str):
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=6
            )
        return min(int(self.batch_size), n_samples)

    def _score_of_epoch(self, X: Any, y: Any, sample_weight: Any) -> Any:
        """What judges an epoch, a function of its logs; None: nothing to judge by."""
        if X is None:
            return None
        several_quantiles = is_regressor(self) and self.n_outputs_ != y.shape[1]  # of one target: R² takes one
        if (several_quantiles and self.scoring is None) or (isinstance(self.scoring, str) and self.scoring == "loss"):
            return lambda logs: -logs["validation_loss"]
        if self.scoring is None:
            return lambda logs: self._default_score(X, y, sample_weight)
        scorer = check_scoring(self, self.scoring)
        y = self._decode(y)
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        judge = copy.copy(self)  # the rows have been checked and have no names any more
        judge.__dict__.pop("feature_names_in_", None)
        return lambda logs: float(scorer(judge, X, y, **weight))

    def _answer_divergence(self) -> None:
        if not self.early_stopping or self.best_validation_score_ == -np.inf:  # no epoch to go back to
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be"
                " preprocessed."
            )
        warnings.warn(
            f"Training diverged in epoch {self.n_iter_}: the parameters are those with the best validation score. Try "
            "a lower learning rate, or inputs scaled to mean 0 and variance 1.",
            ConvergenceWarning,
            stacklevel=5,
        )

    # ---- By scipy's L-BFGS.

    def _fit_lbfgs(self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any], *, first: bool) -> None:
        self.n_iter_ = 0
        iterations = Epochs(self, 0, self._score_of_epoch(*validation))
        if validation[0] is not None:
            self._start_scores()
            if not first:
                iterations.judge_start(self.network_, *validation)
        descend(self, X, y, sample_weight, validation, iterations)
        iterations.warn_unjudged()

    # ---- The fitted model.

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _fitted_network(self, name: str) -> Network:
        if "network_" not in self.__dict__:
            raise NotFittedError(
                f"This {type(self).__name__} has no {name} before it is fitted: call 'fit' first, or take from_network."
            )
        return self.network_

    out_activation_ = OfNetwork(
        lambda network: SKLEARN_NAMES.get(network.output_activation, network.output_activation),
        "the loss has it, or output_activation= of MLPRegressor before fit",
    )
    n_layers_ = OfNetwork(
        lambda network: len(network.layer_sizes),
        "for a hidden layer's output there are transform and network_.transform(X, layer=...)",
    )
    n_outputs_ = OfNetwork(lambda network: network.layer_sizes[-1], "it follows y; see network_")

    @property
    def coefs_(self) -> list[Any]:
        """Weights of each layer, (n_in, n_out): the network's; assigning makes a copy of it that has others."""
        return Parameters(self, "coefs_")

    @coefs_.setter
    def coefs_(self, values: Iterable[Any]) -> None:
        self.coefs_[:] = values

    @property
    def intercepts_(self) -> list[Any]:
        """Biases of each layer, (n_out,): the network's; assigning makes a copy of it that has others."""
        return Parameters(self, "intercepts_")

    @intercepts_.setter
    def intercepts_(self, values: Iterable[Any]) -> None:
        self.intercepts_[:] = values

    @property
    def _n_features_out(self) -> int:
        return self._fitted_network("transform").layer_sizes[-2]

    def transform(self, X: Any) -> Any:
        """Activations of the last hidden layer: the data as the output layer sees them.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            The data; `network_.transform` gives the other layers.

        Returns
        -------
        ndarray or frame of shape (n_samples, n_units)
            As `set_output` says.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        AttributeError
            If there is no hidden layer.
        ValueError
            If X is not as in `fit`.
        """
        check_is_fitted(self)
        return self.network_.transform(self._check_rows(X))

    def _check_rows(self, X: Any) -> Any:
        self._limit_threads()
        return validate_data(self, X, accept_sparse="csr", reset=False)

    def _is_stochastic(self) -> bool:
        """Whether partial_fit is there; a reason where it is not."""
        full_batch = self.solver.full_batch if isinstance(self.solver, Optimizer) else self._is_lbfgs()
        if full_batch:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def _has_hidden_layer(self) -> bool:
        """Whether transform is there; a reason where it is not."""
        sizes = self.network_.layer_sizes[1:-1] if "network_" in self.__dict__ else self.hidden_layer_sizes
        if not np.asarray(sizes, object).size:
            raise AttributeError("transform needs a hidden layer: hidden_layer_sizes has none")
        return True


# Here, not at the definitions: scikit-learn puts a plain method around transform while the class is made.
for _name in ("transform", "fit_transform", "get_feature_names_out"):
    setattr(BaseMLP, _name, available_if(BaseMLP._has_hidden_layer)(getattr(BaseMLP, _name)))


def _sizes(hidden_layer_sizes: Any) -> list[int]:
    """Return one size or several as a list, checked."""
    several = hasattr(hidden_layer_sizes, "__iter__")
    sizes: list[Any] = list(hidden_layer_sizes) if several else [hidden_layer_sizes]
    if any(isinstance(size, (bool, np.bool_)) or np.ndim(size) or not hasattr(size, "__index__") for size in sizes):
        raise TypeError(f"hidden_layer_sizes must be integers, got {sizes}")
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [operator.index(size) for size in sizes]


@contextmanager
def named(argument: str) -> Iterator[None]:
    """Put an argument's name before the messages of scikit-learn's checks, unless it is there."""
    try:
        yield
    except (TypeError, ValueError) as error:
        text = str(error)
        raise (TypeError if isinstance(error, TypeError) else ValueError)(
            text if argument in text else f"{argument}: {text}"
        ) from error


def refuse_negative(name: str, values: Any) -> None:
    """Raise for a negative number in the argument `name` by its place there: the network may see a part of the rows.

    What is no array of numbers is left to the network.
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "if":
        return
    places = np.argwhere(values < 0)
    if len(places):
        place = tuple(map(int, places[0]))
        at = ", ".join(map(str, place))
        raise ValueError(f"{name}[{at}] is {float(values[place])}: it must be finite and not negative")


def _checked_weights(name: str, weights: Any, X: Any) -> Any:
    """Return the weights of X's rows in float64; None as it is."""
    if weights is not None:
        with named(name):
            weights = _check_sample_weight(weights, X, dtype=np.float64)
        refuse_negative(name, weights)
    return weights


def _product(sample_weight: Any, class_weight: Any) -> Any:
    """Weights of the rows; None: all alike."""
    if sample_weight is None or class_weight is None:
        return class_weight if sample_weight is None else sample_weight
    return sample_weight * class_weight
