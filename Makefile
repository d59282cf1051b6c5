# make app      set up once, then start the app on http://127.0.0.1:7860
# make desktop  the same in a window of its own
# make test     set up once, then run the tests
# make fuzz     thousands of made-up requests and mutated pictures against the app
# make check    lint and formatting
# make format   fix what ruff can fix
# make clean    remove .venv
# make help     this list

PYTHON ?= python3
PORT ?= 7860
WORKERS ?= 2
VENV := .venv
# Nothing reports usage to anybody.
export GRADIO_ANALYTICS_ENABLED := False

.PHONY: app desktop test fuzz check format help clean

app: $(VENV)/.installed
	@PORT=$(PORT) $(VENV)/bin/python app.py

desktop: $(VENV)/.installed-desktop
	@$(VENV)/bin/python app.py --desktop

test: $(VENV)/.installed-dev
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile $(TESTS)

# FUZZ: how many times as many cases as in the tests.
fuzz: $(VENV)/.installed-dev
	UNET_STUDIO_FUZZ=$(or $(FUZZ),20) $(VENV)/bin/python -m pytest -m fuzz --timeout 3600 tests/app/test_fuzz.py

check: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

help:
	@sed -n 's/^# //p' Makefile | head -8

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "U-Net Studio needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 app"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python's venv module is missing; on Debian: apt install python3-venv"; exit 1; }

# Thanks to the stamp files a second run starts in seconds; a changed list is installed again.
$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --requirement requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements.txt | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --requirement requirements-dev.txt
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-desktop: requirements-desktop.txt requirements.txt | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --requirement requirements-desktop.txt
	@touch $@ $(VENV)/.installed
