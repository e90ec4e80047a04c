"""MLPClassifier: labels to targets and back, and what a fit of a classifier is called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from mlpc._estimators_base import FLOATS, BaseMLP, named
from mlpc.network import Network, check_network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Self

    from mlpc._epochs import Callback
    from mlpc.initializers import Initializer
    from mlpc.optimizers import Optimizer


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """Multilayer perceptron for classification, a drop-in for scikit-learn's.

    Two classes: one sigmoid output; more: a softmax; a matrix of 0 and 1, one column a label: sigmoids. The loss is the
    cross-entropy.

    Parameters
    ----------
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
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, 1 where missing; multiplies the sample weights. Not for multi-label targets.
    scoring : str, callable or None, default=None
        What early stopping judges by: a name of scikit-learn's scorers, a scorer, "loss" (the validation loss, lower is
        better), or None: accuracy.
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

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    loss : str
        "log_loss": the cross-entropy.
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
    Differences from scikit-learn 1.9: training that diverges ends at once instead of going on with NaN; scores
    without `early_stopping` are recorded where `fit` gets a validation set; after a warm start early stopping begins
    with the score of the weights there are, on the rows that judge now, and counts its patience afresh; where no
    score is a number it warns and leaves the last weights, not the first.

    Examples
    --------
    >>> from mlpc.estimators import MLPClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["same", "differ", "differ", "same"]
    >>> model = MLPClassifier((4,), activation="tanh", solver="lbfgs", random_state=0).fit(X, y)
    >>> model.predict(X).tolist()
    ['same', 'differ', 'differ', 'same']
    >>> model.transform(X).shape
    (4, 4)
    """

    loss = "log_loss"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
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
        class_weight: Mapping[Any, float] | str | None = None,
        scoring: str | Callable[..., float] | None = None,
        initializer: str | Initializer | None = None,
        callbacks: Callback | Sequence[Callback] | None = (),
        progress: bool = False,
        n_threads: int | None = None,
    ) -> None:
        self._store(locals())

    @classmethod
    def from_network(cls, net: Network, classes: Any = None, **params: Any) -> Self:
        """Return a fitted estimator around a copy of a network: for weights from elsewhere.

        Parameters
        ----------
        net : mlpc.Network
            With a cross-entropy as loss, and biases.
        classes : array-like of shape (n_classes,), optional
            What label k of the network stands for, in order; 0, 1, ... unless given. None for several sigmoids.
        params : object
            Parameters of the estimator that the network has not, such as `batch_size`, or that are to differ, such as
            `solver`.

        Returns
        -------
        MLPClassifier
            It predicts as the network does (but at a probability of exactly 1/2 the first class, as scikit-learn).
            `partial_fit`, and `fit` with `warm_start=True`, go on from there, with the network's optimizer as solver;
            the curves of the network's own training stay in `network_.history`.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, or no such estimator has this network or such classes.

        Examples
        --------
        >>> import mlpc
        >>> from mlpc.estimators import MLPClassifier
        >>> net = mlpc.Network([1, 1], loss="binary_cross_entropy")
        >>> net.parameters = [1.0, 0.0]
        >>> MLPClassifier.from_network(net, ["negative", "positive"]).predict([[-2.0], [3.0]]).tolist()
        ['negative', 'positive']
        """
        check_network(net)
        if net.loss not in ("binary_cross_entropy", "categorical_cross_entropy"):
            raise ValueError(f"net must have a cross-entropy as loss, got {net.loss!r}: MLPRegressor takes that")
        estimator: Self = cls._around(net, params)
        n_outputs = net.layer_sizes[-1]
        if net.loss == "binary_cross_entropy" and n_outputs > 1:
            if classes is not None:
                raise ValueError(f"classes must be None for several sigmoids, a label each, got {classes!r}")
            binarizer = LabelBinarizer().fit(np.eye(n_outputs, dtype=np.int64))
        else:
            n_classes = n_outputs if net.loss == "categorical_cross_entropy" else 2
            classes = np.arange(n_classes) if classes is None else np.asarray(classes)
            if classes.shape != (n_classes,):
                raise ValueError(f"classes must be {n_classes} values, one a label, got {classes.tolist()!r}")
            try:
                binarizer = LabelBinarizer().fit(classes)
            except (TypeError, ValueError) as error:
                raise type(error)(f"classes must be names or numbers, got {classes.tolist()!r}: {error}") from None
            if not np.array_equal(binarizer.classes_, classes):
                there = binarizer.classes_.tolist()
                raise ValueError(f"classes must be distinct and in order, {there}, got {classes.tolist()!r}")
            if net.loss == "categorical_cross_entropy":
                binarizer.y_type_ = "multiclass"  # two of them, too
        estimator._label_binarizer, estimator.classes_ = binarizer, binarizer.classes_
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
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes, or a matrix of 0 and 1 for multi-label targets.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, >= 0, not all zero.
        X_val, y_val : array-like, optional
            A validation set, scored after each epoch (iteration): for early stopping instead of a part of the data.
        sample_weight_val : array-like of shape (n_validation_samples,), optional
            Its weights.

        Returns
        -------
        MLPClassifier
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch over the rows given.

        Parameters
        ----------
        X, y, sample_weight : array-like
            As in `fit`.
        classes : array-like of shape (n_classes,), optional
            All classes there will be; needed in the first call.

        Returns
        -------
        MLPClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter is not of its type, shape or range; the estimator is as before.
        ValueError
            If training diverges; the weights are those of the last finite epoch.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight must be a dict or None for partial_fit, which sees a part of the data, got 'balanced'"
            )
        self._fit(X, y, sample_weight, (None, None, None), incremental=True, classes=classes)
        return self

    def predict(self, X: Any) -> Any:
        """Most probable classes; for multi-label targets the labels with a probability above 1/2.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Classes as they were given to `fit`.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not as in `fit`.
        """
        check_is_fitted(self)
        return self._decode(self._labels(self._check_rows(X)))

    def predict_proba(self, X: Any) -> Any:
        """Probabilities.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; two columns for two classes.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not as in `fit`.
        """
        check_is_fitted(self)
        probabilities = self.network_.predict_proba(self._check_rows(X))
        if probabilities.shape[1] == 1:
            return np.hstack([1 - probabilities, probabilities])
        return probabilities

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of the probabilities.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            log(predict_proba(X)).

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not as in `fit`.
        """
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    # ---- For the base.

    def _encode(self, X: Any, y: Any, *, incremental: bool, reset: bool, classes: Any) -> tuple[Any, Any, Any]:
        if incremental and _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer()
            self._label_binarizer.fit(y if type_of_target(y).startswith("multilabel") else classes)
        X, y = validate_data(self, X, y, accept_sparse="csr", multi_output=True, dtype=FLOATS, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            if (y.ndim == 2) != self._label_binarizer.y_type_.startswith("multilabel"):
                raise ValueError(
                    f"y must be as in the first call, {self._label_binarizer.y_type_}, got shape {y.shape}"
                )
            self._check_classes(unique_labels(y))
        weights = None
        if self.class_weight is not None:
            if self._label_binarizer.y_type_.startswith("multilabel"):
                raise ValueError("class_weight must be None for multi-label targets: it weighs one class a row")
            with named("class_weight"):
                of_classes = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            weights = of_classes[np.searchsorted(self.classes_, y)]
            if not ((weights >= 0) & (weights < np.inf)).all():
                raise ValueError(f"class_weight must hold finite numbers >= 0, got {self.class_weight}")
            if not weights.any():
                raise ValueError(f"class_weight must not be zero for every class in y, got {self.class_weight}")
        return X, self._targets(y), weights

    def _check_classes(self, classes: Any) -> None:
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _encode_validation(self, y: Any) -> Any:
        unknown = np.setdiff1d(unique_labels(y), self.classes_)
        if len(unknown):
            raise ValueError(f"y_val has classes that y has not: {unknown}")
        multilabel = self._label_binarizer.y_type_.startswith("multilabel")
        return self._targets(y if multilabel else column_or_1d(y, warn=True))

    def _targets(self, y: Any) -> Any:
        """Rows of 0 and 1 for sigmoids, one label a row for the softmax."""
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return self._label_binarizer.transform(y).astype(bool)
        labels = np.searchsorted(self.classes_, y).reshape(-1, 1)
        return labels if self._label_binarizer.y_type_ == "multiclass" else labels == 1

    def _outputs(self, y: Any) -> tuple[int, str]:
        if self._label_binarizer.y_type_ == "multiclass":
            return len(self.classes_), "categorical_cross_entropy"
        return y.shape[1], "binary_cross_entropy"

    def _decode(self, y: Any) -> Any:
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return self._label_binarizer.inverse_transform(y.astype(np.int64))
        return self.classes_.take(y.ravel())

    def _labels(self, X: Any) -> Any:
        """Rows of labels, as the network's targets are."""
        probabilities = self.network_.predict_proba(X)
        if self._label_binarizer.y_type_ == "multiclass":
            return probabilities.argmax(axis=1).reshape(-1, 1)
        return (probabilities > 0.5) & (len(self.classes_) > 1)

    def _default_score(self, X: Any, y: Any, sample_weight: Any) -> float:
        right = (self._labels(X) == y).all(axis=1)
        return float(np.average(right, weights=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
