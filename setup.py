"""Builds the extension mlpc._core; everything else about the package is in pyproject.toml.

MLPC_WERROR=1 makes every compiler warning an error.
"""

import os
import platform
import sys
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
# ones are a third smaller without what -O3 adds, which is for vectors.
MACHINE = platform.machine().lower()
X86, ARM = MACHINE in ("x86_64", "amd64"), MACHINE in ("arm64", "aarch64")
KERNELS = {
    "_avx2.c": (X86, ["-mavx2", "-mfma"]),
    "_avx512.c": (X86, ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma"]),
    "_neon.c": (ARM, []),
    "_generic.c": (True, ["-O2"]),
}
# A universal Python for macOS would compile every file for both architectures.
if sys.platform == "darwin":
    os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")


class BuildExtension(build_ext):
    """Compiles the files of each instruction set with its flags, the rest as setuptools does."""

    def build_extension(self, ext):
        """Build the extension."""
        for ending, (supported, flags) in KERNELS.items():
            sources = [source for source in ext.sources if source.endswith(ending)]
            ext.sources = [source for source in ext.sources if source not in sources]
            if supported and sources:
                options = [*FLAGS, *flags, "-fno-asynchronous-unwind-tables"]  # nobody unwinds from a kernel
                objects = self.compiler.compile(sources, self.build_temp, extra_postargs=options)
                ext.extra_objects.extend(objects)
        super().build_extension(ext)


core = Extension(
    "mlpc._core",
    SOURCES,
    include_dirs=[numpy.get_include()],
    depends=HEADERS,
    extra_compile_args=FLAGS,
    extra_link_args=["-pthread"],
)
setup(ext_modules=[core], cmdclass={"build_ext": BuildExtension})
