"""The C programs of tests/c: the core without Python, and the example at the top of mlp.h."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def make(*arguments: str) -> str:
    """Run make in the root; a failure shows what the compiler said."""
    done = subprocess.run(["make", "-s", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def name(program: str) -> str:
    return Path(program).name


PROGRAMS = make("print-c-programs").split()
FUNCTIONS = [program for program in PROGRAMS if "test_functions" in program]


@pytest.fixture(scope="module", autouse=True)
def built():
    make("c-programs")


def test_there_are_programs():
    names = {name(program) for program in PROGRAMS}
    assert {"test_example", "test_core", "test_functions_f32_generic", "test_functions_f64_generic"} <= names


def run(program: str, *arguments: str, timeout: float = 300) -> str:
    """Run a program in the root; a failure shows what it printed."""
    command = [ROOT / program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("program", PROGRAMS, ids=name)
def test_program(program):
    run(program)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_functions_have_the_same_bits_on_every_instruction_set(dtype):
    # The generic kernels multiply and add in two steps.
    fused = [program for program in FUNCTIONS if f"_{dtype}_" in program and not program.endswith("_generic")]
    assert len({run(program, "bits") for program in fused}) <= 1


def test_an_update_within_the_products_has_the_bits_of_one_after_them():
    """The kernels for AVX2 make it after them; a program's own make it within, like those for AVX-512 and NEON."""
    fused = ROOT / "build" / "plain" / "test_bits_fused"
    if not fused.exists():
        pytest.skip("no AVX2")
    assert run(fused, "avx2") == run(ROOT / "build" / "plain" / "test_bits", "avx2")


@pytest.mark.exhaustive
def test_functions_over_every_float():
    programs = [program for program in FUNCTIONS if "_f32_" in program]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for report in pool.map(partial(run, timeout=3600), programs, ["exhaustive"] * len(programs)):
            print(report)
