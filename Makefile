PYTHON ?= python3.11
EXTRAS ?= cpu,onnx,teachers,dask,dev
JOBS ?= 2
RUN := .venv/bin/python

.PHONY: test demo train-demo symbols clean

test: .venv/ready
	$(RUN) -m pytest -n $(JOBS) --dist loadfile tests

demo: train-demo

train-demo: .venv/ready
	$(RUN) tools/train_demo.py --out runs/train-demo

symbols: .venv/ready
	$(RUN) tools/export.py --symbols symbols

clean:
	rm -rf .venv build *.egg-info

.venv/ready: setup.py pyproject.toml
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@
