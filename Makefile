PYTHON ?= python3.11
EXTRAS ?= cpu,onnx,teachers,gallery,dask,dev
JOBS ?= 2
RUN := .venv/bin/python

.PHONY: test demo train-demo overfit symbols clean

test: .venv/ready
	$(RUN) -m pytest -n $(JOBS) --dist loadfile tests

demo: train-demo

# The whole path on a few photos: label, train, export, find the faces by the export alone, compare.
DEMO := runs/demo
train-demo: .venv/ready
	$(RUN) tools/demo.py photos --out $(DEMO)/photos
	$(RUN) tools/prepare_data.py make --source "folder:$(DEMO)/photos?complete=1" --out $(DEMO)/records \
		--teacher "mtcnn_pypi?thresholds=[0.6,0.7,0.6]" dlib --cache $(DEMO)/teachers.cache --size 800
	$(RUN) tools/train.py --config experiments/demo.yaml --out $(DEMO)/run --resume
	$(RUN) tools/export.py --run $(DEMO)/run --out $(DEMO)/model --split
	$(RUN) tools/detect.py --model $(DEMO)/model/uniface_a_lite $(DEMO)/photos --out $(DEMO)/faces --embeddings
	$(RUN) tools/demo.py compare --records $(DEMO)/records $(DEMO)/records-negatives --faces $(DEMO)/faces/faces.jsonl

# Learn 32 real photos by heart: make overfit RECORDS=DIR/net_7876
overfit: .venv/ready
	$(RUN) -m uniface_mx.train.overfit --records $(RECORDS) --out runs/overfit

symbols: .venv/ready
	$(RUN) tools/export.py --symbols symbols

clean:
	rm -rf .venv build *.egg-info

.venv/ready: setup.py pyproject.toml
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@
