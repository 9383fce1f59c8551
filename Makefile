PYTHON := .venv/bin/python

.PHONY: demo test lint test-matrix package scan release bench bench-peers screenshots setup clean

demo: setup  ## fuse the bundled sample with the bundled weights into out/
	$(PYTHON) scripts/demo.py out

# Threads that wait by spinning starve the other processes of a busy machine.
test: export OMP_WAIT_POLICY = passive
test: setup lint  ## every test
	$(PYTHON) -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

test-matrix:  ## the tests of the plugin with the QGIS, Python and PyTorch of Debian 13 and 14 (as root, with debootstrap)
	./scripts/test_matrix

package:  ## dist/ssdiff.zip, which QGIS installs
	python3 scripts/package.py

scan: setup package  ## what plugins.qgis.org looks for in the zip
	$(PYTHON) scripts/scan.py dist/ssdiff.zip

release:  ## dist/: the zip, the weights and SHA256SUMS
	python3 scripts/package.py --release

bench: setup  ## speed of the engine on this machine
	$(PYTHON) -m ssdiff_core bench

bench-peers: setup  ## the classical methods side by side with GDAL and the Orfeo Toolbox
	$(PYTHON) scripts/bench_peers.py

screenshots: setup  ## docs/pictures, taken of the plugin in QGIS's window (with Xvfb, openbox, ImageMagick and Chromium)
	$(PYTHON) scripts/screenshots.py docs/pictures

setup:  ## all that is missing: system packages (as root), .venv, locked requirements
	@./scripts/setup

clean:
	rm -rf .venv .matrix out dist build
