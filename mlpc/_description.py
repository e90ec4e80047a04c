"""What a network was made as, readable: the arguments of its constructor, which nothing changes; all at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc._table import as_html, as_text

if TYPE_CHECKING:
    from mlpc._spec import Spec
    from mlpc.initializers import Initializer
    from mlpc.losses import Loss
    from mlpc.optimizers import Optimizer

_DEFAULTS = {
    "reduction": "mean",
    "l1": 0,
    "l2": 0,
    "dropout": 0,
    "initializer": "auto",
    "bias": True,
    "dtype": "float64",
}
_MOST_LAYERS = 12  # that a table has a row for


class Description:
    """The specification of `Network`, an attribute each."""

    _spec: Spec
    _optimizer: Optimizer
    _seed: int
    if TYPE_CHECKING:

        @property
        def epoch(self) -> int: ...
        @property
        def step(self) -> int: ...

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Units of each layer, inputs first."""
        return self._spec.layer_sizes

    @property
    def loss(self) -> str | Loss:
        """The loss, as it was given."""
        return self._spec.loss

    @property
    def hidden_activation(self) -> str | tuple[str, ...]:
        """One name, or one per hidden layer."""
        return self._spec.hidden_activation

    @property
    def output_activation(self) -> str:
        """Activation of the last layer."""
        return self._spec.output_activation

    @property
    def reduction(self) -> str:
        """One of "mean", "sum", "penalized_mean"."""
        return self._spec.reduction

    @property
    def l1(self) -> float:
        """Factor of the sum of absolute weights."""
        return self._spec.l1

    @property
    def l2(self) -> float:
        """Factor of half the sum of squared weights."""
        return self._spec.l2

    @property
    def dropout(self) -> float | tuple[float, ...]:
        """One rate, or one per hidden layer."""
        return self._spec.dropout

    @property
    def initializer(self) -> str | Initializer | None:
        """A name or a function; None: a function that a model file could not keep."""
        return self._spec.initializer

    @property
    def bias(self) -> bool:
        """Whether layers have biases."""
        return self._spec.bias

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of parameters and arithmetic."""
        return np.dtype(self._spec.dtype)

    def to_latex(self) -> str:
        r"""Write the forward and the backward pass as equations, with the shape of every matrix.

        Returns
        -------
        str
            An `aligned` environment: in a notebook `IPython.display.Math(net.to_latex())` shows it.

        Notes
        -----
        Rows are samples, n of them, of weight 1; dV is the derivative of the objective E by V, and a prime marks a
        derivative. What `net.backpropagate` returns has the same names; its dW is without the penalties.

        Examples
        --------
        >>> import mlpc
        >>> print(mlpc.Network([2, 1], loss="binary_cross_entropy").to_latex())
        \begin{aligned}
        &\text{Forward pass} \\
        A^{(0)} &= X && (n \times 2) \\
        ...
        \end{aligned}
        """
        from mlpc._latex import to_latex

        return to_latex(self._spec)

    # ---- At a glance: the call that makes it, and a table of its layers.

    def __repr__(self) -> str:
        # The table is a comment, so that the whole is still an expression that makes the same network.
        lines = (self._call(), *(f"# {line}" for line in (*as_text(self._layers()), self._summary())))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return as_html(self._layers(), head=self._call(), foot=self._summary())

    def _call(self) -> str:
        spec = self._spec
        shown = [f"{list(spec.layer_sizes)}", f"loss={spec.loss!r}", f"hidden_activation={spec.hidden_activation!r}"]
        shown += [f"output_activation={spec.output_activation!r}", f"optimizer={self._optimizer!r}"]
        shown += [f"{name}={value!r}" for name in _DEFAULTS if (value := getattr(spec, name)) != _DEFAULTS[name]]
        return f"{type(self).__name__}({', '.join(shown)}, seed={self._seed})"

    def _layers(self) -> list[tuple[str, ...]]:
        spec = self._spec
        rows: list[tuple[str, ...]] = [("layer", "weights", "biases", "activation", "parameters")]
        for i, activation in enumerate(spec.activations, start=1):
            n_in, n_out = spec.layer_sizes[i - 1 : i + 1]
            name = "output" if i == spec.n_layers else f"hidden {i}"
            biases = f"({n_out},)" if spec.bias else "none"
            rows.append((name, f"({n_in}, {n_out})", biases, activation, f"{(n_in + spec.bias) * n_out:,}"))
        if spec.n_layers > _MOST_LAYERS:
            rows[_MOST_LAYERS - 2 : -2] = [("...",) * len(rows[0])]
        return rows

    def _summary(self) -> str:
        size = f"{self._spec.n_parameters:,} parameters in {self._spec.dtype}"
        return f"{size}; trained for {self.epoch:,} epochs, {self.step:,} steps"
