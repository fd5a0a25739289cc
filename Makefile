PYTHON ?= python3.11
EXTRAS ?= cpu,onnx,teachers,gallery,heic,dask,dev
JOBS ?= 2
RUN := .venv/bin/python

.PHONY: test lint demo train-demo overfit symbols clean

test: lint
	$(RUN) -m pytest -n $(JOBS) --dist loadfile tests

lint: .venv/ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

# The shipped model on real photos: marked pictures, and who is who.
DEMO := runs/demo
demo: .venv/ready
	$(RUN) tools/demo.py photos --out $(DEMO)/photos
	$(RUN) tools/detect.py $(DEMO)/photos --out $(DEMO)/faces --embeddings
	$(RUN) tools/demo.py people --faces $(DEMO)/faces/faces.jsonl

# The whole path on a few photos: label, train, export, find the faces by the export alone, compare with the labels.
TRAIN := runs/train_demo
train-demo: .venv/ready
	$(RUN) tools/demo.py photos --out $(TRAIN)/photos
	$(RUN) tools/prepare_data.py make --source "folder:$(TRAIN)/photos?complete=1" --out $(TRAIN)/records \
		--teacher "mtcnn_pypi?thresholds=[0.6,0.7,0.6]" dlib --cache $(TRAIN)/teachers.cache --size 800
	$(RUN) tools/train.py --config experiments/demo.yaml --out $(TRAIN)/run --resume
	$(RUN) tools/export.py --run $(TRAIN)/run --out $(TRAIN)/model --split
	$(RUN) tools/detect.py --model $(TRAIN)/model/uniface_a_lite $(TRAIN)/photos --out $(TRAIN)/faces
	$(RUN) tools/evaluate.py detection --model $(TRAIN)/model/uniface_a_lite --out $(TRAIN)/results \
		--records $(TRAIN)/records $(TRAIN)/records-negatives

# Learn 32 real photos by heart: make overfit RECORDS=DIR/net_7876
overfit: .venv/ready
	$(RUN) tools/overfit.py --records $(RECORDS) --out runs/overfit

symbols: .venv/ready
	$(RUN) tools/export.py --symbols symbols

clean:
	rm -rf .venv build *.egg-info

.venv/ready: setup.py pyproject.toml
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@
