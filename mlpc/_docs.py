"""Docstrings and signatures of what `Network` inherits from the extension: too short for a Python frame around them."""

from mlpc import _core

_ROWS = """X : array-like of shape (n_samples, n_features)
    Read in place where it is an array of real numbers or a CSR one of scipy.sparse. A row with NaN gives NaN; a row's
    result has the same bits whatever rows come with it."""

_RAISES = """Raises
------
TypeError, ValueError
    If an argument is not of its type, shape or range.
RuntimeError
    If the network is being changed by another call."""

DOCS = {
    "predict_proba": f"""Output activations; under a cross-entropy they are probabilities.

Parameters
----------
{_ROWS}

Returns
-------
ndarray of shape (n_samples, n_outputs)
    In the network's dtype; one sigmoid output is one column, P(y = 1).

{_RAISES}

Examples
--------
>>> import mlpc
>>> net = mlpc.Network([2, 1], loss="binary_cross_entropy", initializer="zeros")
>>> net.predict_proba([[1.0, 2.0], [3.0, 4.0]])
array([[0.5],
       [0.5]])
""",
    "forward": f"""Output activations: the same as predict_proba.

Parameters
----------
{_ROWS}

Returns
-------
ndarray of shape (n_samples, n_outputs)
    In the network's dtype.

{_RAISES}

Examples
--------
>>> import mlpc
>>> net = mlpc.Network([1, 1], loss="squared_error", initializer="zeros")
>>> net.parameters = [2.0, 1.0]
>>> net.forward([[1.0], [2.0]])
array([[3.],
       [5.]])
""",
    "predict": f"""Labels under a cross-entropy, output activations otherwise.

Parameters
----------
{_ROWS} Where a label is asked of it, a NaN is an error.
threshold : float or sequence of float, default=0.5
    In [0, 1], one or one per output; read under binary cross-entropy: 1 where the probability is at least this.

Returns
-------
ndarray of shape (n_samples,) or (n_samples, n_outputs)
    Labels (int64): (n_samples,) for one sigmoid output or softmax. Otherwise outputs in the network's dtype:
    (n_samples,) for one output.

{_RAISES}

Examples
--------
>>> import mlpc
>>> net = mlpc.Network([1, 1], loss="binary_cross_entropy", initializer="zeros")
>>> net.parameters = [1.0, 0.0]
>>> net.predict([[-2.0], [0.0], [2.0]])
array([0, 1, 1])
>>> net.predict([[-2.0], [0.0], [2.0]], threshold=0.6)
array([0, 0, 1])
""",
    "transform": f"""Activations of a hidden layer: the data as the layers after it see them.

Parameters
----------
{_ROWS}
layer : int, default=-1
    1, 2, ... from the first hidden layer, or -1, -2, ... from the last one.

Returns
-------
ndarray of shape (n_samples, n_units)
    In the network's dtype.

{_RAISES}

Examples
--------
>>> import mlpc
>>> net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
>>> net.transform([[1.0, 2.0]]).shape
(1, 3)
""",
    "activations": f"""Activations of every layer.

Parameters
----------
{_ROWS}

Returns
-------
list of ndarray
    L + 1 arrays of shape (n_samples, n_units) in the network's dtype: X first, the output last.

{_RAISES}

Examples
--------
>>> import mlpc
>>> net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
>>> [a.shape for a in net.activations([[1.0, 2.0]])]
[(1, 2), (1, 3), (1, 1)]
""",
    "parameters": """Every weight and bias, flat: a writable view of the one block W[1], b[1], W[2], ...

Assigning to it copies in, after a check of shape and values.

Examples
--------
>>> import mlpc
>>> net = mlpc.Network([1, 1], loss="squared_error", initializer="zeros")
>>> net.parameters = [2.0, 1.0]
>>> net.weights[0][0, 0], net.biases[0][0]
(np.float64(2.0), np.float64(1.0))
""",
    "weights": """W[1], ..., W[L], each of shape (n_in, n_out): writable views of the parameters.

Examples
--------
>>> import mlpc
>>> [w.shape for w in mlpc.Network([2, 3, 1], loss="squared_error").weights]
[(2, 3), (3, 1)]
""",
    "biases": """b[1], ..., b[L], each of shape (n_out,): writable views of the parameters; () without biases.

Examples
--------
>>> import mlpc
>>> [b.shape for b in mlpc.Network([2, 3, 1], loss="squared_error").biases]
[(3,), (1,)]
""",
    "n_parameters": """Number of weights and biases.

Examples
--------
>>> import mlpc
>>> mlpc.Network([2, 3, 1], loss="squared_error").n_parameters
13
""",
    "epoch": """Epochs completed over the network's life.

Examples
--------
>>> import mlpc
>>> mlpc.Network([1, 1], loss="squared_error").fit([[0.0], [1.0]], [0.0, 1.0], epochs=3).epoch
3
""",
    "step": """Optimizer steps completed over the network's life.

Examples
--------
>>> import mlpc
>>> net = mlpc.Network([1, 1], loss="squared_error")
>>> net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3, batch_size=1).step
6
""",
    "end_epoch": """Count an epoch: what follows partial_fit once the data have been seen.

Raises
------
RuntimeError
    If the network is in use by another call.

Examples
--------
>>> import mlpc
>>> net = mlpc.Network([1, 1], loss="squared_error")
>>> for batch in ([[0.0]], [[1.0]]):
...     net = net.partial_fit(batch, [1.0])
>>> net.end_epoch()
>>> net.epoch, net.step
(1, 2)
""",
}

SIGNATURES = {
    "predict_proba": "($self, X)",
    "forward": "($self, X)",
    "predict": "($self, X, *, threshold=0.5)",
    "transform": "($self, X, *, layer=-1)",
    "activations": "($self, X)",
    "end_epoch": "($self)",
}

for _name, _text in DOCS.items():
    # The form in which CPython takes a signature from the docstring of a C method; attributes have none.
    _head = f"{_name}{SIGNATURES[_name]}\n--\n\n" if _name in SIGNATURES else ""
    _core.add_docstring(getattr(_core.Network, _name), _head + _text)
