# Builds, tests and shows mlpc; `make help` lists the targets.
#
# Python packages go into .venv, which is made on first use; build/ has the C programs, the site and the packages of
# test-oldest. Nothing is installed elsewhere. PYTHON chooses the interpreter (3.10 or later), CC the compiler of the C
# programs, BENCH holds arguments of the benchmark: make bench BENCH='--rows circles,256x4 --threads 1 --rounds 3'.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
BUILD := build
comma := ,
Q := $(if $(V),,@)# make V=1 shows the commands of the compiler

.PHONY: help packages demo test test-peers test-oldest test-exhaustive test-neon test-c c-programs print-c-programs \
	check format docs size sanitize bench bench-estimators bench-tables clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo             train the circles and the digits; pictures in demo/output'
	@echo 'make test             build with warnings as errors, run the C programs and pytest'
	@echo 'make check            formatters, linters, types'
	@echo 'make format           let the formatters rewrite the files'
	@echo 'make docs             build the site in build/docs (runs the notebooks)'
	@echo 'make sanitize         the C programs under AddressSanitizer and UBSan, the threads under ThreadSanitizer'
	@echo 'make test-peers       compare with PyTorch (installs it)'
	@echo 'make test-oldest      the estimators with the oldest scikit-learn and NumPy (installs them)'
	@echo 'make test-exhaustive  the tests that take minutes'
	@echo 'make test-neon        the C programs for 64-bit Arm under QEMU; the same bits as with AVX2'
	@echo 'make size             how large the extension is; more than a megabyte is an error'
	@echo 'make bench            time against NumPy, scikit-learn, PyTorch, JAX and ONNX Runtime (installs them)'
	@echo 'make bench-tables     put the tables of the last make bench into the documents'
	@echo 'make bench-estimators time and scores of the estimators against scikit-learn'
	@echo 'make clean            remove what was built; .venv too'

# ---- The Python package. Stamps in .venv say what is installed and which sources the extension was built from.

CORE_SOURCES := $(wildcard csrc/*.c csrc/kernels/*.c)
SOURCES := $(CORE_SOURCES) $(wildcard csrc/*.h csrc/kernels/*.h csrc/python/*.[ch])
PACKAGE := pyproject.toml setup.py

$(VENV)/.base:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install 'setuptools>=77' 'numpy>=2'
	@touch $@

# Where the package is built to be tested, warnings are errors. Without the extension setuptools compiles all of it.
STRICT := $(if $(filter demo bench bench-estimators,$(MAKECMDGOALS)),0,1)
BUILT := $(VENV)/.built-$(STRICT)

$(BUILT): $(VENV)/.base $(PACKAGE) $(SOURCES)
	rm -f mlpc/_core.*.so
	MLPC_WERROR=$(STRICT) $(PIP) install --no-build-isolation --editable .
	@touch $(VENV)/.built-0 $@

# The packages of an extra: mlpc is there, and is not built again.
$(VENV)/.extra-%: pyproject.toml | $(BUILT)
	$(PIP) install 'mlpc[$*]'
	@touch $@

# What check, docs and test need, at once.
packages: $(BUILT)
	$(PIP) install 'mlpc[check,docs,test]'
	@touch $(addprefix $(VENV)/.extra-,check docs test)

demo: $(BUILT) $(VENV)/.extra-demo
	$(BIN)/python demo/run.py

test: $(BUILT) $(VENV)/.extra-test c-programs
	$(BIN)/python -m pytest

test-peers: $(BUILT) $(VENV)/.extra-test $(VENV)/.extra-peers
	$(BIN)/python -m pytest -m peers

# Runs what was built with a newer NumPy, as an installed wheel would.
OLDEST := $(BUILD)/oldest

$(OLDEST)/.installed: tests/oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip --quiet --disable-pip-version-check install --requirement $<
	@touch $@

test-oldest: $(BUILT) $(OLDEST)/.installed
	$(OLDEST)/bin/python -c 'import numpy, sklearn; print("scikit-learn", sklearn.__version__, "NumPy", numpy.__version__)'
	PYTHONPATH=. $(OLDEST)/bin/python -m pytest tests/test_estimators*.py

test-exhaustive: $(BUILT) $(VENV)/.extra-test c-programs
	$(BIN)/python -m pytest -m exhaustive

# Reads everything again: a notebook's outputs are those of this build's network.
docs: $(BUILT) $(VENV)/.extra-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet $(DOCS) docs $(BUILD)/docs
	@echo 'see $(BUILD)/docs/index.html'

# Stripped, the extension is to stay below a megabyte (with GCC 12; other compilers differ).
size: $(BUILT)
	@mkdir -p $(BUILD)
	@strip -o $(BUILD)/stripped mlpc/_core.*.so
	@size=$$(wc -c < $(BUILD)/stripped); echo "the extension: $$size bytes"; test $$size -le 1000000

bench: $(BUILT) $(VENV)/.extra-bench
	$(BIN)/python benchmarks/run.py $(BENCH)

bench-estimators: $(BUILT) $(VENV)/.extra-sklearn
	$(BIN)/python benchmarks/estimators.py $(BENCH)

bench-tables: $(VENV)/.base
	$(BIN)/python benchmarks/report.py

# ---- The core alone: the programs of tests/c, compiled from the sources with every warning an error.

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Werror
CORE_FLAGS := -std=c11 -pthread -ffp-contract=off $(WARNINGS) -Icsrc -Icsrc/kernels -MMD -MP
PLAIN_FLAGS := -O3
# Instrumented code draws warnings of its own; the plain flavour has warned already.
INSTRUMENTED := -Og -g1 -fno-omit-frame-pointer -w
SANITIZED_FLAGS := $(INSTRUMENTED) -fsanitize=address,undefined -fno-sanitize-recover=all -DMLP_POISON
THREAD_FLAGS := $(INSTRUMENTED) -fsanitize=thread

# A file that needs an instruction set ends in its name, and is compiled as setup.py does. Files of other processors are
# left out.
MACHINE := $(shell uname -m)
LINUX := $(filter Linux,$(shell uname -s))
X86 := $(filter x86_64 amd64,$(MACHINE))
ARM := $(filter arm64 aarch64,$(MACHINE))
C_FILES := $(filter-out $(if $(X86),,%_avx2.c %_avx512.c) $(if $(ARM),,%_neon.c),$(CORE_SOURCES))
ISA_avx2 := -mavx2 -mfma
ISA_avx512 := -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma
ISA_generic := -Os
isa_flags = $(foreach isa,avx2 avx512 generic,$(if $(filter %_$(isa).c,$(1)),$(ISA_$(isa))))

# tests/c/test_functions.c is compiled once per dtype and header of vectors that this machine can run.
CPU := $(shell (grep -m1 ^flags /proc/cpuinfo || sysctl -n machdep.cpu.features machdep.cpu.leaf7_features) \
	2>/dev/null | tr A-Z a-z)
RUNNABLE := generic $(if $(ARM),neon) $(and $(filter fma,$(CPU)),$(filter avx2,$(CPU))) \
	$(if $(filter avx512dq,$(CPU)),$(if $(filter avx512vl,$(CPU)),avx512))
VECTORS := $(filter $(RUNNABLE),$(patsubst csrc/kernels/vector_%.h,%,$(wildcard csrc/kernels/vector_*.h)))
FUNCTION_TESTS := $(foreach v,$(VECTORS),$(addsuffix _$(v),test_functions_f32 test_functions_f64))
CORE_TESTS := test_example $(patsubst tests/c/%.c,%,$(filter-out %/test_functions.c $(if $(LINUX),,%/test_memory.c),\
	$(wildcard tests/c/test_*.c)))
# GNU's linker puts test_memory's own allocations in the place of the library's.
%/test_memory: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,malloc calloc realloc aligned_alloc)
PROGRAMS := $(CORE_TESTS) $(FUNCTION_TESTS)

# Instrumented where it can run.
ifeq ($(filter avx512,$(RUNNABLE)),)
%_avx512.o: SANITIZED_FLAGS := -O0 -w
%_avx512.o: THREAD_FLAGS := -O0 -w
endif

# $(call c_rules,flavour,its flags): objects of the core and the programs, in build/flavour.
define c_rules
$(BUILD)/$(1)/%.o: csrc/%.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CORE_FLAGS) $(2) $$(call isa_flags,$$<) -c $$< -o $$@

$(BUILD)/$(1)/%.o: tests/c/%.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CORE_FLAGS) $(2) -c $$< -o $$@

$(BUILD)/$(1)/%.o: $(BUILD)/%.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CORE_FLAGS) $(2) -c $$< -o $$@

$(addprefix $(BUILD)/$(1)/test_functions_f32_,$(VECTORS)): $(BUILD)/$(1)/test_functions_f32_%: tests/c/test_functions.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CORE_FLAGS) $(2) $$(ISA_$$*) -DREAL_IS_DOUBLE=0 -DVECTOR_HEADER='"vector_$$*.h"' $$< -o $$@ -lm

$(addprefix $(BUILD)/$(1)/test_functions_f64_,$(VECTORS)): $(BUILD)/$(1)/test_functions_f64_%: tests/c/test_functions.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CORE_FLAGS) $(2) $$(ISA_$$*) -DREAL_IS_DOUBLE=1 -DVECTOR_HEADER='"vector_$$*.h"' $$< -o $$@ -lm

$(addprefix $(BUILD)/$(1)/,$(CORE_TESTS)): %: %.o $(C_FILES:csrc/%.c=$(BUILD)/$(1)/%.o)
	$$(Q)$$(CC) $(2) $$(LDFLAGS) -pthread $$^ -o $$@ -lm
endef
$(eval $(call c_rules,plain,$$(PLAIN_FLAGS)))
$(eval $(call c_rules,sanitized,$$(SANITIZED_FLAGS)))
$(eval $(call c_rules,threads,$$(THREAD_FLAGS)))
-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/kernels/*.d)

# test_bits with kernels for AVX2 that update within the products, as those for AVX-512 and NEON do: see vector_avx2.h.
FUSED := $(if $(filter avx2,$(VECTORS)),test_bits_fused)

$(BUILD)/fused/%.o: csrc/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CORE_FLAGS) $(PLAIN_FLAGS) -DMLP_FUSES $(call isa_flags,$<) -c $< -o $@

$(BUILD)/plain/test_bits_fused: $(BUILD)/plain/test_bits.o $(foreach file,$(C_FILES:csrc/%.c=%.o),\
		$(BUILD)/$(if $(findstring _avx2,$(file)),fused,plain)/$(file))
	$(Q)$(CC) $(PLAIN_FLAGS) $(LDFLAGS) -pthread $^ -o $@ -lm

# The example at the top of mlp.h, as a program of its own.
$(BUILD)/test_example.c: csrc/mlp.h tests/c/example.py
	@mkdir -p $(@D)
	$(PYTHON) tests/c/example.py csrc/mlp.h > $@

c-programs: $(addprefix $(BUILD)/plain/,$(PROGRAMS) $(FUSED))

# What tests/test_c.py runs.
print-c-programs:
	@echo $(addprefix $(BUILD)/plain/,$(PROGRAMS))

test-c: c-programs
	@set -e; for program in $(PROGRAMS); do echo $$program; $(BUILD)/plain/$$program; done

SANITIZED := $(addprefix sanitize/,$(PROGRAMS))

.PHONY: $(SANITIZED) sanitize/threads
sanitize: $(SANITIZED) sanitize/threads

sanitize/threads: $(BUILD)/threads/test_threads
	@echo 'test_threads (ThreadSanitizer)'; $<

$(SANITIZED): sanitize/%: $(BUILD)/sanitized/%
	@echo '$* (sanitized)'; ASAN_OPTIONS=detect_leaks=$(if $(LINUX),1,0) $<

# ---- NEON without an Arm: programs from a cross compiler run under QEMU; test_bits and the functions print hashes that
# must be those of AVX2, whose functions have been compared with references. Threads would show nothing new: QEMU keeps
# this machine's order of memory.

NEON_CC := aarch64-linux-gnu-gcc
NEON_RUN := qemu-aarch64
FOR_NEON := --no-print-directory CC=$(NEON_CC) MACHINE=aarch64 VECTORS=neon BUILD=$(BUILD)/neon \
	PLAIN_FLAGS='$(PLAIN_FLAGS) -static'
NEON_TESTS := $(filter-out test_bits test_threads,$(CORE_TESTS))
NEON_PROGRAMS := $(addprefix $(BUILD)/neon/plain/,$(NEON_TESTS) test_bits test_functions_f32_neon test_functions_f64_neon)
HASHING := $(addprefix $(BUILD)/plain/,test_bits test_functions_f32_avx2 test_functions_f64_avx2)
# $(call hashes,how to run a program in which folder,instruction set)
hashes = { $(1)/test_bits $(2); $(1)/test_functions_f32_$(2) bits; $(1)/test_functions_f64_$(2) bits; }

test-neon:
	@for tool in $(NEON_CC) $(NEON_RUN); do command -v $$tool >/dev/null || { echo "test-neon: there is no $$tool;" \
		"Debian has it in gcc-aarch64-linux-gnu with libc6-dev-arm64-cross, or in qemu-user" >&2; exit 1; }; done
	@$(if $(filter avx2,$(VECTORS)),:,echo 'test-neon: this machine has no AVX2 to compare with' >&2; exit 1)
	@$(MAKE) --no-print-directory $(HASHING)
	@$(MAKE) $(FOR_NEON) $(NEON_PROGRAMS)
	@set -e; for program in $(NEON_TESTS); do echo "$$program (QEMU)"; $(NEON_RUN) $(BUILD)/neon/plain/$$program; done
	@set -e; $(call hashes,$(BUILD)/plain,avx2) >$(BUILD)/neon/avx2.txt
	@set -e; $(call hashes,$(NEON_RUN) $(BUILD)/neon/plain,neon) >$(BUILD)/neon/neon.txt
	@diff $(BUILD)/neon/avx2.txt $(BUILD)/neon/neon.txt && echo 'the same bits with NEON as with AVX2'

# ---- Formatters, linters, types. All come from PyPI, pinned in pyproject.toml.

C_TEXTS := $(wildcard csrc/*.[ch] csrc/kernels/*.[ch] csrc/python/*.[ch] tests/c/*.[ch] benchmarks/*.c)
PY_TEXTS := mlpc tests demo benchmarks notebooks docs/conf.py setup.py
PYTHON_INCLUDES = $(shell $(BIN)/python -c 'import numpy, sysconfig; \
	print("-isystem", sysconfig.get_path("include"), "-isystem", numpy.get_include())')

TIDIED := $(addprefix tidy/,$(C_FILES) $(wildcard csrc/python/*.c))
PROCESSORS = $(shell getconf _NPROCESSORS_ONLN)

check: $(BUILT) $(VENV)/.extra-test $(VENV)/.extra-check
	$(BIN)/clang-format --dry-run -Werror $(C_TEXTS)
	$(BIN)/ruff format --check $(PY_TEXTS)
	$(BIN)/ruff check $(PY_TEXTS)
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	@$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,--jobs=$(PROCESSORS)) stubs $(TIDIED)

.PHONY: stubs $(TIDIED)
stubs:
	$(BIN)/stubtest mlpc._core --ignore-disjoint-bases --mypy-config-file pyproject.toml

$(TIDIED): tidy/%:
	@echo 'clang-tidy $*'
	@$(BIN)/clang-tidy --quiet --warnings-as-errors='*' $* -- -std=c11 -Icsrc -Icsrc/kernels $(call isa_flags,$*) \
		$(PYTHON_INCLUDES)

# Works on sources that do not compile, once the tools are there.
format:
	@test -x $(BIN)/clang-format || $(MAKE) $(VENV)/.extra-check
	$(BIN)/clang-format -i $(C_TEXTS)
	$(BIN)/ruff format $(PY_TEXTS)
	$(BIN)/ruff check --fix $(PY_TEXTS)

clean:
	rm -rf $(VENV) $(BUILD) dist *.egg-info mlpc/*.so demo/output benchmarks/results
	find . -name __pycache__ -not -path './.git/*' -exec rm -rf {} +
	rm -rf .mypy_cache .pytest_cache .ruff_cache
