PYTHON := .venv/bin/python
# One more than there are cores, since some tests mostly wait for other processes.
WORKERS := $(shell echo $$(($(shell nproc) < 4 ? $(shell nproc) + 1 : 4)))

.PHONY: demo test fuzz lint test-matrix package scan release bench bench-peers screenshots setup clean

demo: setup  ## fuse the bundled sample with the bundled weights into out/
	$(PYTHON) scripts/demo.py out

# OpenMP threads that spin while they wait slow down the other processes of a busy machine.
test: export OMP_WAIT_POLICY = passive
test: setup lint  ## run all tests
	$(PYTHON) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

MINUTES := 60
SEED := $(shell date +%s)
fuzz: setup  ## run each fuzzer for MINUTES (60) with new seeds; SEED=N repeats a run
	SSDIFF_FUZZ_MINUTES=$(MINUTES) SSDIFF_FUZZ_SEED=$(SEED) $(PYTHON) -m pytest tests/fuzz -n $(WORKERS) --dist load

lint: setup  ## check style, formatting and import rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	./scripts/lint_imports

test-matrix:  ## tests of the plugin with QGIS, Python and PyTorch of Debian 13 and 14 (as root, needs debootstrap)
	./scripts/test_matrix

package: setup  ## build dist/ssdiff.zip, the plugin that QGIS installs
	$(PYTHON) scripts/package.py

scan: setup package  ## run the security and style checks of plugins.qgis.org on the zip
	$(PYTHON) scripts/scan.py dist/ssdiff.zip

release: setup  ## build everything that a release publishes in dist/: the zip, the weights and SHA256SUMS
	$(PYTHON) scripts/package.py --release

bench: setup  ## measure the speed of the network on this machine
	$(PYTHON) -m ssdiff_core bench

bench-peers: setup  ## compare the speed of the classical methods with GDAL and the Orfeo Toolbox
	$(PYTHON) scripts/bench_peers.py

screenshots: setup  ## take the screenshots in docs/pictures (needs Xvfb, openbox, ImageMagick and Chromium)
	$(PYTHON) scripts/screenshots.py docs/pictures

setup:  ## install what is missing: system packages (as root), .venv, locked requirements
	@./scripts/setup

clean:
	rm -rf .venv .matrix out dist build
