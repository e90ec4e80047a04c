"""`import mlpc` costs little more than `import numpy`: what it brings in, and what comes when it is first asked for."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from wrapper import run_python

import mlpc

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
    run_python(
        "import mlpc, sys\n"
        "assert {'estimators', 'plot'} <= set(dir(mlpc)) and 'sklearn' not in sys.modules\n"
        "assert mlpc.estimators.MLPClassifier and mlpc.plot.LossCurveDisplay\n"
    )
    with pytest.raises(AttributeError, match="module 'mlpc' has no attribute 'loads'"):
        mlpc.loads  # noqa: B018


def test_a_second_build_links_what_changed(tmp_path):
    """setup.py compiles by itself: setuptools no longer sees sources, and would take an old extension for a new one."""
    root = Path(__file__).parent.parent
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "csrc" / "python").mkdir(parents=True)
    (tmp_path / "mlpc").mkdir()
    source, built = tmp_path / "csrc" / "python" / "module.c", []
    for number in (101, 202):
        source.write_text(
            "#include <Python.h>\n"
            f'static PyModuleDef module = {{PyModuleDef_HEAD_INIT, .m_name = "_core", .m_size = {number}}};\n'
            "PyMODINIT_FUNC PyInit__core(void) { return PyModule_Create(&module); }\n"
        )
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        built.append(next((tmp_path / "mlpc").glob("_core*")).read_bytes())
    assert built[0] != built[1]
