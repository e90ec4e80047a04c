"""`import mlpc` costs little more than `import numpy`: what it brings in, and what comes when it is first asked for."""

import json
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from wrapper import run_python

import mlpc
from mlpc import _core

NEW = """
import json, sys
import numpy
before = set(sys.modules)
import mlpc
print(json.dumps(sorted(set(sys.modules) - before)))
"""

HEAVY = ["dataclasses", "inspect", "json", "numpy.random", "numpy.typing", "pathlib", "random", "threading"]
EXTRAS = ["matplotlib", "pandas", "safetensors", "scipy", "sklearn", "tqdm"]
OWN = ["mlpc.gradcheck", "mlpc.io", "mlpc.plot"]


def test_what_import_brings():
    new = json.loads(run_python(NEW))
    assert "mlpc.network" in new
    assert not set(new) & {*HEAVY, *EXTRAS, *OWN}
    # The rest of the package, and few modules that cost next to nothing.
    assert len([name for name in new if not name.startswith("mlpc")]) <= 10


def test_what_comes_later():
    run_python(
        "import mlpc\n"
        "assert set(mlpc.__all__) <= set(dir(mlpc))\n"
        "from mlpc import *\n"
        "assert load is mlpc.load is mlpc.io.load\n"
        "assert isinstance(check_gradient(Network([1, 1], loss='squared_error'), [[1]], [1]), GradientCheck)\n"
    )
    with pytest.raises(AttributeError, match="module 'mlpc' has no attribute 'loads'"):
        mlpc.loads  # noqa: B018


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not shutil.which("strip"), reason="of x86-64, which has most kernels"
)
def test_the_extension_is_small(tmp_path):
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-o", stripped, Path(_core.__file__)], check=True)
    assert stripped.stat().st_size <= 1_000_000
