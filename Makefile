PYTHON := .venv/bin/python

.PHONY: demo test lint bench bench-peers setup clean

demo: setup  ## fuse the bundled sample with the bundled weights into out/
	$(PYTHON) scripts/demo.py out

# Threads that wait by spinning starve the other processes of a busy machine.
test: export OMP_WAIT_POLICY = passive
test: setup lint  ## every test
	$(PYTHON) -m pytest

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

bench: setup  ## speed of the engine on this machine
	$(PYTHON) -m ssdiff_core bench

bench-peers: setup  ## the classical methods side by side with GDAL and the Orfeo Toolbox
	$(PYTHON) scripts/bench_peers.py

setup:  ## all that is missing: system packages (as root), .venv, locked requirements
	@./scripts/setup

clean:
	rm -rf .venv out dist
