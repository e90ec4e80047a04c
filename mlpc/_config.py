"""show_config: what this installation runs on."""

from mlpc import _core
from mlpc._version import __version__


def show_config() -> None:
    """Print version, kernels and threads.

    Examples
    --------
    >>> import mlpc
    >>> mlpc.show_config()
    mlpc ...
    kernels: ... (this machine runs ...)
    threads: ...
    """
    smallest = _core.Network((1, 1), ("identity",), "squared_error", (), False, 0.0, 0.0, (), True, "float64")
    print(f"mlpc {__version__}")
    print(f"kernels: {smallest._kernels} (this machine runs {', '.join(_core.KERNELS)})")
    print(f"threads: {_core.N_THREADS}")
