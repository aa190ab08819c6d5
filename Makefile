# `make demo`: the main job on the built-in phantoms with the shipped networks.
# `make test`: the whole suite. Both create what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo

.PHONY: demo test setup debian clean

demo: $(VENV)/.installed
	rm -rf $(OUT) $(OUT)-mammography
	$(BIN)/medsynth demo -o $(OUT)
	@echo
	@for out in $(OUT) $(OUT)-mammography; do if [ -e "$$out/report.html" ]; then \
		echo "A synthetic image is in $$(realpath "$$out"): open report.html, preview.png, or dicom/ in a viewer."; \
	fi; done

test: $(VENV)/.installed-dev debian
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --ignore=tests/slicer
	sh tests/slicer/run.sh

setup: $(VENV)/.installed-dev

# Where no CUDA is present the version that the suite is held to, a CPU build where pip finds one.
$(VENV)/.installed: setup.py
	$(PYTHON) -m venv $(VENV)
	command -v nvidia-smi >/dev/null || $(BIN)/pip install -q torch==2.13.0
	$(BIN)/pip install -q -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install -q -e '.[dev]'
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
	rm -rf $(VENV) .venv312 $(OUT) $(OUT)-mammography build *.egg-info
