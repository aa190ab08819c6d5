# `make demo`: the main job on the built-in phantoms with the shipped networks.
# `make check`: the fast lane: lint, types, the tests that take no more than a moment.
# `make test`: the whole suite. Each creates what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo

.PHONY: demo model-index wheel wheel-test check lint types test coverage setup debian clean

demo: $(VENV)/.installed
	rm -rf $(OUT) $(OUT)-mammography
	$(BIN)/medsynth demo -o $(OUT)
	@echo
	@for out in $(OUT) $(OUT)-mammography; do if [ -e "$$out/report.html" ]; then \
		echo "A synthetic image is in $$(realpath "$$out"): open report.html, preview.png, or dicom/ in a viewer."; \
	fi; done

# Bytecode is kept, whatever the environment says: hundreds of tests start a Python of their own.
export PYTHONDONTWRITEBYTECODE :=

# One process a core and one thread a process: threads that wait for each other only cost time. The
# tests of a file stay in one process: what they share is made once.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --ignore=tests/slicer

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

check: lint types
	$(PYTEST) -q --durations=0 --durations-min=2 -m "not slow and not gpu and not pacs and not browser"

test: lint debian
	$(PYTEST)
	sh tests/slicer/run.sh
	sh tests/web/run.sh

coverage: $(VENV)/.installed-dev debian
	$(PYTEST) --cov=medsynth --cov-report=term:skip-covered --cov-report=html:build/coverage

# Size, checksum and license of every shipped network, after one of them changed.
model-index: $(VENV)/.installed
	$(BIN)/python -m medsynth.networks.model_store

# A link that leads nowhere or a docstring that does not render is an error. No network is used.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m mkdocs build --strict

# sdist and wheel of medsynth-slicer and of medsynth-models, the networks, in dist/.
wheel: $(VENV)/.installed-dev
	$(BIN)/python packaging/build_wheels.py

# The README's example in an empty environment, off the checkout. BORROW=--borrow takes the dependencies
# of .venv instead of fetching them again.
wheel-test: wheel
	$(BIN)/python packaging/try_wheels.py $(BORROW)

setup: $(VENV)/.installed-dev

# Where no CUDA is present the version that the suite is held to, a CPU build where pip finds one.
$(VENV)/.installed: setup.py
	$(PYTHON) -m venv $(VENV)
	command -v nvidia-smi >/dev/null || $(BIN)/pip install -q torch==2.13.0
	$(BIN)/pip install -q -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install -q -e '.[dev]'
	$(BIN)/pip install -q --no-deps 'nnunetv2>=2.5' 'dynamic-network-architectures>=0.4.4' 'timm>=1.0.9'
	$(BIN)/pip install -q 'huggingface_hub>=0.30'
	if command -v nvidia-smi >/dev/null; then $(BIN)/pip install -q torchvision; \
	else $(BIN)/pip install -q --no-deps torchvision==0.28.0; fi
	touch $@

# Servers and validators that the tests talk to; without apt and root those tests skip and say so.
DEBIAN := dicom3tools dcmtk orthanc orthanc-dicomweb chromium libegl1 libgl1 libxkbcommon0 \
	libdbus-1-3 libfontconfig1 libosmesa6
debian: $(VENV)/.debian
$(VENV)/.debian: $(VENV)/.installed
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		dpkg -s $(DEBIAN) >/dev/null 2>&1 || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN) >/dev/null; } \
		|| echo "some Debian packages could not be installed; their tests will be skipped"; \
	else echo "no apt or not root: tests that need $(DEBIAN) are skipped"; fi
	touch $@

clean:
	rm -rf $(VENV) .venv312 .venvweb $(OUT) $(OUT)-mammography build dist site *.egg-info
