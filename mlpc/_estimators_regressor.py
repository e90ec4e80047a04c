"""MLPRegressor: losses by scikit-learn's names, and what a fit of a regressor is called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from mlpc._core import LOSSES
from mlpc._estimators_attributes import SKLEARN_NAMES
from mlpc._estimators_base import FLOATS, BaseMLP, refuse_negative
from mlpc._spec import HIDDEN_ACTIVATIONS
from mlpc.losses import Loss
from mlpc.network import Network, check_network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Self

    from mlpc._epochs import Callback
    from mlpc.initializers import Initializer
    from mlpc.optimizers import Optimizer


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """Multilayer perceptron for regression, a drop-in for scikit-learn's.

    Parameters
    ----------
    loss : str or loss object, default="squared_error"
        Per sample, summed over the outputs, d the difference of output and target: "squared_error" (d²/2, as in
        scikit-learn; also "half_squared_error"), "poisson" (half the deviance; the output is exp), "absolute_error",
        "huber", "log_cosh", "quantile", `mlpc.Huber(delta)`, `mlpc.Quantile(q)`; several q for one target make one
        output each.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer, at least 1; () for none.
    activation : str or sequence of str, default="relu"
        Of the hidden layers, one name or one per layer: "identity", "logistic" (or "sigmoid"), "tanh", "relu",
        "leaky_relu", "elu", "selu", "softplus", "softsign", "gelu", "silu", "mish".
    solver : {"lbfgs", "sgd", "adam", "adamw", "rmsprop"} or optimizer object, default="adam"
        scikit-learn's solvers, step for step; `mlpc.AdamW` (its weight decay of 0.01 comes on top of alpha) and
        `mlpc.RMSprop`; or an optimizer such as `mlpc.AdamW(0.01, weight_decay=0.1)`. That brings its own rate,
        schedule, momentum, betas and epsilon: the parameters of these names have no effect then, and setting one warns.
    alpha : float, default=0.0001
        Strength of the L2 penalty: each batch minimises (sum w loss + alpha/2 sum W²) / sum w, w the sample weights.
    batch_size : int or "auto", default="auto"
        Rows of a step, >= 1; "auto" is min(200, n_samples). All rows for "lbfgs", `mlpc.Rprop` and `mlpc.LBFGS`.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        Of "sgd": learning_rate_init; that over (t + 1)^power_t, t the samples seen before the epoch; divided
        by 5 whenever the loss (the validation score) has not improved by tol for n_iter_no_change epochs.
    learning_rate_init : float, default=0.001
        Learning rate of "adam", "adamw" and "rmsprop", the first one of "sgd"; > 0.
    power_t : float, default=0.5
        Exponent of "invscaling"; >= 0.
    max_iter : int, default=200
        Most epochs, or iterations of L-BFGS; >= 1.
    shuffle : bool, default=True
        Whether each epoch visits the rows in a new order.
    random_state : int, RandomState instance or None, default=None
        Of first weights, validation split, orders and dropout.
    tol : float, default=1e-4
        What counts as an improvement of loss or score; for "lbfgs" the largest element of the gradient at the end.
    verbose : bool or int, default=False
        Whether to print the loss of each epoch (iteration).
    warm_start : bool, default=False
        Whether `fit` goes on from the weights there are.
    momentum : float, default=0.9
        Of "sgd", in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether the momentum of "sgd" is Nesterov's.
    early_stopping : bool, default=False
        Whether to stop when the validation score does not improve, and keep the best weights. Without a validation set
        of the caller's, a part of the data is set aside; "lbfgs" goes on to its end then.
    validation_fraction : float, default=0.1
        Share of the data set aside, in [0, 1).
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the averages of "adam" and "adamw", in [0, 1).
    epsilon : float, default=1e-8
        Of "adam", "adamw" and "rmsprop", > 0.
    n_iter_no_change : int or inf, default=10
        Epochs without an improvement before training stops; >= 1.
    max_fun : int, default=15000
        Most evaluations of the loss by "lbfgs"; >= 1.
    l1 : float, default=0.0
        Strength of an L1 penalty, l1 sum|W|, divided like alpha's; >= 0.
    dropout : float or sequence of float, default=0.0
        Rate at which hidden units are dropped while training, one or one per hidden layer, in [0, 1); 0 with "lbfgs".
    scoring : str, callable or None, default=None
        What early stopping judges by: a name of scikit-learn's scorers, a scorer, "loss" (the validation loss, lower is
        better), or None: R², for several quantiles of one target the loss.
    initializer : str, callable or None, default=None
        Of the first weights. None: scikit-learn's, uniform after Glorot and Bengio (2010), biases too; otherwise as in
        `mlpc.Network`.
    callbacks : callable, sequence of callable or None, default=()
        Called as (network, epoch, logs) after each epoch (iteration); a truthy result stops training. The dict `logs`
        has "loss", "learning_rate" and, where there are such, "validation_loss" and "validation_score"; numbers added
        under other names are kept in `network_.history`. What is written to the parameters meanwhile, "lbfgs" ignores.
    progress : bool, default=False
        Whether to show a progress bar (needs tqdm).
    n_threads : int or None, default=None
        At most so many threads, in training and in prediction; None: as many as `mlpc.Network` takes. The result does
        not depend on it.
    output_activation : str or None, default=None
        None: the loss's own. Any of those of `activation` but with "poisson", which takes its own alone, "exp":
        "logistic" for targets in (0, 1), "tanh" in (-1, 1), "softplus" above 0.

    Attributes
    ----------
    loss_ : float
        Loss of the last epoch, penalties included.
    loss_curve_ : list of float
        Loss of each epoch; goes on over warm starts and partial_fit. Not with "lbfgs", like `best_loss_`.
    best_loss_ : float or None
        Lowest loss; None with early stopping.
    validation_scores_ : list of float or None
        Score on the validation set after each epoch (iteration), where there is one.
    best_validation_score_ : float or None
        Highest of them; None without early stopping.
    t_ : int
        Samples seen while training by epochs.
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer: views of the network's. Assigning them or an item
        copies into a copy of the network, so that arrays taken before stay as they are.
    n_iter_ : int
        Epochs (iterations) of the last fit.
    n_features_in_, n_layers_, n_outputs_ : int
        Inputs, layers with the input's, outputs.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns of X, where they are all text.
    out_activation_ : str
        Output activation.
    network_ : mlpc.Network
        The network itself.

    See Also
    --------
    mlpc.Network : What trains and predicts, with gradients, hidden layers and files.

    Notes
    -----
    Differences from scikit-learn 1.9: with several outputs the loss reported is the sum over them, which is what is
    descended, not their average; training that diverges ends at once instead of going on with NaN; scores without
    `early_stopping` are recorded where `fit` gets a validation set; after a warm start early stopping begins with the
    score of the weights there are, on the rows that judge now, and counts its patience afresh; where no score is a
    number it warns and leaves the last weights, not the first.

    Examples
    --------
    >>> from mlpc.estimators import MLPRegressor
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
    >>> model = MLPRegressor(hidden_layer_sizes=(4,), activation="identity", solver="lbfgs", alpha=0, random_state=0)
    >>> model.fit(X, y).predict([[4.0]]).round(2)
    array([9.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "loss": [
            StrOptions({name for name in LOSSES if not name.endswith("cross_entropy")}),
            Loss,
        ],
        "output_activation": [StrOptions({"logistic", "exp", *HIDDEN_ACTIVATIONS}), None],
    }

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        l1: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        scoring: str | Callable[..., float] | None = None,
        initializer: str | Initializer | None = None,
        callbacks: Callback | Sequence[Callback] | None = (),
        progress: bool = False,
        n_threads: int | None = None,
        output_activation: str | None = None,
    ) -> None:
        self._store(locals())

    @classmethod
    def from_network(cls, net: Network, **params: Any) -> Self:
        """Return a fitted estimator around a copy of a network: for weights from elsewhere.

        Parameters
        ----------
        net : mlpc.Network
            With biases, and no cross-entropy as loss; of its "squared_error" the estimator's is half.
        params : object
            Parameters of the estimator that the network has not, such as `batch_size`, or that are to differ, such as
            `solver`.

        Returns
        -------
        MLPRegressor
            It predicts as the network does. `partial_fit`, and `fit` with `warm_start=True`, go on from there, with the
            network's optimizer as solver; the curves of the network's own training stay in `network_.history`.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, or no such estimator has this network.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.estimators import MLPRegressor
        >>> net = mlpc.Network([1, 1], loss="squared_error")
        >>> net.parameters = [2.0, 1.0]
        >>> MLPRegressor.from_network(net).predict([[3.0]])
        array([7.])
        """
        check_network(net)
        if net._spec.loss_name.endswith("cross_entropy"):
            raise ValueError(f"net must have no cross-entropy as loss, got {net.loss!r}: MLPClassifier takes that")
        own = net.output_activation == LOSSES[net._spec.loss_name]
        output = None if own else SKLEARN_NAMES.get(net.output_activation, net.output_activation)
        loss = "squared_error" if net.loss == "half_squared_error" else net.loss
        estimator: Self = cls._around(net, params, loss=loss, output_activation=output)
        return estimator

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            The data, read in place where it is float64 or float32, which is also what the network computes in; of
            rows that are shuffled but lie by columns (Fortran order) a copy is made.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, >= 0, not all zero.
        X_val, y_val : array-like, optional
            A validation set, scored after each epoch (iteration): for early stopping instead of a part of the data.
        sample_weight_val : array-like of shape (n_validation_samples,), optional
            Its weights.

        Returns
        -------
        MLPRegressor
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter is not of its type, shape or range; the estimator is as before.
        ValueError
            If training diverges; the weights are those of the last finite epoch.
        """
        validation = (X_val, y_val, sample_weight_val)
        self._fit(X, y, sample_weight, validation, incremental=False)
        return self

    @available_if(lambda self: self._is_stochastic())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch over the rows given.

        Parameters
        ----------
        X, y, sample_weight : array-like
            As in `fit`.

        Returns
        -------
        MLPRegressor
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter is not of its type, shape or range; the estimator is as before.
        ValueError
            If training diverges; the weights are those of the last finite epoch.
        """
        self._fit(X, y, sample_weight, (None, None, None), incremental=True)
        return self

    def predict(self, X: Any) -> Any:
        """Outputs.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the network's dtype.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not as in `fit`.
        """
        check_is_fitted(self)
        return self.network_.predict(self._check_rows(X))

    # ---- For the base.

    def _encode(self, X: Any, y: Any, *, incremental: bool, reset: bool, classes: Any) -> tuple[Any, Any, Any]:
        X, y = validate_data(
            self, X, y, accept_sparse="csr", multi_output=True, y_numeric=True, dtype=FLOATS, reset=reset
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if y.dtype.kind not in "biuf":  # the network would speak of labels
            raise TypeError(f"y must hold real numbers, got dtype {y.dtype}")
        self._check_targets("y", y)
        return X, y.reshape(len(y), -1), None

    def _encode_validation(self, y: Any) -> Any:
        y = check_array(y, dtype=FLOATS, ensure_2d=False, input_name="y_val")
        self._check_targets("y_val", y)
        return y.reshape(len(y), -1)

    def _check_targets(self, name: str, y: Any) -> None:
        if self.loss == "poisson":
            refuse_negative(name, y)

    def _outputs(self, y: Any) -> tuple[int, str | Loss]:
        if isinstance(self.loss, Loss):
            several = len(self.loss.parameters())
            return several if y.shape[1] == 1 else y.shape[1], self.loss
        return y.shape[1], "half_squared_error" if self.loss == "squared_error" else self.loss

    def _decode(self, y: Any) -> Any:
        return y

    def _default_score(self, X: Any, y: Any, sample_weight: Any) -> float:
        predicted = self.network_.predict(X)
        if not np.isfinite(predicted).all():
            return np.nan
        with np.errstate(over="ignore", invalid="ignore"):  # of a run that is about to diverge
            return float(r2_score(y, predicted, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
