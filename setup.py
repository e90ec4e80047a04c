"""Builds the extension mlpc._core; everything else about the package is in pyproject.toml.

MLPC_WERROR=1 makes every compiler warning an error.
"""

import os
import platform
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# -g0: the interpreter's own flags ask for debugging symbols, ten times what they describe.
FLAGS = ["-std=c11", "-pthread", "-O3", "-g0", "-ffp-contract=off", "-fvisibility=hidden"]
FLAGS += ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wdouble-promotion"]
FLAGS += ["-Werror"] if os.environ.get("MLPC_WERROR") == "1" else []
SOURCES = sorted(str(path) for folder in ("", "kernels", "python") for path in Path("csrc", folder).glob("*.c"))
HEADERS = [str(path) for path in Path("csrc").rglob("*.h")]

# Kernels for one instruction set end in its name; at run time the best that the machine has is chosen. The portable
# ones take 40 % of the room that -O3 gives them, and are as fast.
MACHINE = platform.machine().lower()
if sys.platform == "darwin":
    # A universal Python for macOS would compile every file for both architectures.
    archflags = os.environ.get("ARCHFLAGS") or f"-arch {MACHINE}"
    if archflags.count("-arch") != 1:
        raise SystemExit(
            f"ARCHFLAGS must name one architecture, for whose instructions mlpc is built, got {archflags!r}"
        )
    os.environ["ARCHFLAGS"], MACHINE = archflags, archflags.split()[-1]
if sys.platform == "win32":
    raise SystemExit("mlpc does not build on Windows yet: see README.md")
X86, ARM = MACHINE in ("x86_64", "amd64"), MACHINE in ("arm64", "aarch64")
KERNELS = {
    "_avx2.c": (X86, ["-mavx2", "-mfma"]),
    "_avx512.c": (X86, ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma"]),
    "_neon.c": (ARM, []),
    "_generic.c": (True, ["-Os"]),
}
# Of the other files these have loops over numbers, which want vectors, or are called for every tile of a product.
HOT = ["check.c", "matmul.c", "random.c", "rows.c"]
# Of GCC for x86, which else fills and copies structures with string instructions: starting one takes longer than a
# small call's arithmetic.
BY_VECTORS = [f"-m{name}-strategy=vector_loop:512:noalign,libcall:-1:noalign" for name in ("memset", "memcpy")]
# Of GCC, which else pads in front of what is only jumped to: 10 kB of the megabyte that `make size` allows.
UNPADDED = ["-falign-jumps=1"]
# A small call goes through many small functions of the core and the wrapper: of their files together, the compiler
# makes fewer. Up to 10 % of it. (Kernels have instruction sets that must not spread.)
ACROSS_FILES = ["-flto=auto"]
# Where constants have pages of their own, which need not be executable, the file has 8 kB more.
TOGETHER = ["-Wl,-z,noseparate-code"]


def flags(source):
    """Return the flags that a file is compiled with; None where this machine cannot run it."""
    for ending, (supported, own) in KERNELS.items():
        if source.endswith(ending):
            return [*FLAGS, *own, "-fno-asynchronous-unwind-tables"] if supported else None  # nobody unwinds from them
    return FLAGS if Path(source).name in HOT else [*FLAGS, "-O2"]


class BuildExtension(build_ext):
    """Compiles the files beside each other, each with its flags; links as setuptools does."""

    def takes(self, options, *, compiling=True):
        """Whether the linker, and the compiler if `compiling`, take these options; false where there are none."""
        with tempfile.TemporaryDirectory() as folder:
            source, built, library = (str(Path(folder, name)) for name in ("probe.c", "probe.o", "probe.so"))
            Path(source).write_text("int probe(void);\nint probe(void) { return 0; }\n")
            steps = [
                [*self.compiler.compiler_so, *(options if compiling else []), "-Werror", "-c", source, "-o", built],
                [*self.compiler.linker_so, *options, built, "-o", library],
            ]
            try:
                return all(subprocess.run(step, capture_output=True).returncode == 0 for step in steps)
            except OSError:
                return False

    def build_extension(self, ext):
        """Build the extension."""
        by_vectors = BY_VECTORS if X86 and self.takes(BY_VECTORS) else []
        unpadded = UNPADDED if self.takes(UNPADDED) else []
        across_files = ACROSS_FILES if self.takes(ACROSS_FILES) else []
        ext.extra_link_args.extend(across_files)
        ext.extra_link_args.extend(TOGETHER if self.takes(TOGETHER, compiling=False) else [])

        def compiled(source):
            across = [] if source.endswith(tuple(KERNELS)) else across_files
            return self.compiler.compile(
                [source],
                self.build_temp,
                include_dirs=ext.include_dirs,
                depends=ext.depends,
                extra_postargs=[*flags(source), *by_vectors, *unpadded, *across],
            )

        sources = [source for source in ext.sources if flags(source) is not None]
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for objects in threads.map(compiled, sources):
                ext.extra_objects.extend(objects)
        ext.sources = []
        self.force = True  # to link: setuptools sees no sources any more, and would keep what an earlier build has left
        super().build_extension(ext)


core = Extension(
    "mlpc._core",
    SOURCES,
    include_dirs=[numpy.get_include()],
    depends=HEADERS,
    libraries=["m"],  # not every interpreter brings it
    extra_link_args=["-pthread"],
)
setup(ext_modules=[core], cmdclass={"build_ext": BuildExtension})
