# `make test` needs nothing but Debian's python3 (3.11+, with venv) and git (2.34+).
VENV ?= .venv
PY = $(VENV)/bin/python

.PHONY: demo test test-whole coverage lint types lock bench torture faults fuzz mutation pictures clean

# What is installed is in requirements.lock, each file with its hash; and our own package, without asking for more.
PIP = $(PY) -m pip --disable-pip-version-check install --quiet
$(VENV)/.installed: pyproject.toml requirements.lock
	python3 -m venv $(VENV)
	$(PIP) --require-hashes --requirement requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

demo: $(VENV)/.installed
	$(PY) -m jobserver demo $(ARGS)

# Tests start many processes: each would compile all of our code if nothing may keep the result.
unexport PYTHONDONTWRITEBYTECODE

# Files of the tests are in memory where there is room. Five processes keep two cores busy: tests wait for servers, and
# some for time-outs.
PYTEST = $(PY) -m pytest --dist worksteal
test: $(VENV)/.installed
	$(PYTEST) -n 5 $(ARGS)

# The same by three processes and on the disk, with large samples of the faults and of odd input, and with the tests that
# take long: for CI.
test-whole: export WHOLE_SAMPLES = 1
test-whole: export TMPDIR ?= /tmp
test-whole: $(VENV)/.installed
	$(PYTEST) -n 3 $(ARGS)

# The suite again, slower, with every process of it measured; fails where a package falls short of its goal.
# Processes with another working directory would leave their data there.
coverage: export COVERAGE_FILE = $(CURDIR)/.coverage
coverage: $(VENV)/.installed
	$(PY) -m coverage erase
	PYTHONPATH=$(CURDIR)/tests/measured $(PY) -m coverage run -m pytest -n 2 $(ARGS)
	$(PY) -m coverage combine --quiet
	$(PY) -m tests.coverage_goals

lint: $(VENV)/.installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(VENV)/.installed
	$(PY) -m mypy

# Writes requirements.lock anew, with the newest versions that pyproject.toml allows; read its diff before you commit it.
lock:
	python3 -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip --disable-pip-version-check install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --extra dev \
	  --no-annotate --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
	echo "opensafely-jobrunner==2.52.4" | $(VENV)-lock/bin/uv pip compile - --quiet --upgrade --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --custom-compile-command "make lock" --output-file tests/e2e/real/requirements.txt
	rm -rf $(VENV)-lock

# Each benchmark prints one table; ARGS=--quick for the short form.
bench: $(VENV)/.installed
	$(PY) -m benchmarks.write $(ARGS)
	$(PY) -m benchmarks.api $(ARGS)
	$(PY) -m benchmarks.growth $(ARGS)
	$(PY) -m benchmarks.git $(ARGS)
	$(PY) -m benchmarks.pages $(ARGS)
	$(PY) -m benchmarks.pipeline $(ARGS)
	$(PY) -m benchmarks.hosted $(ARGS)
	$(PY) -m benchmarks.maintain $(ARGS)

# Clients, servers on one repository, and somebody who kills them; then the history is judged.
SECONDS ?= 60
torture: $(VENV)/.installed
	$(PY) -m tests.torture.run --seconds $(SECONDS) $(ARGS)

# A process stopped, or failed, at every single change of a file; and power loss at any of them.
faults: $(VENV)/.installed
	$(PY) -m tests.faults.crash --points 10000
	$(PY) -m tests.faults.power --replays 1000

# Small mistakes in the domain, one after the other: how many of them do its tests notice? ARGS="--module admit"
mutation: $(VENV)/.installed
	$(PY) -m tests.faults.mutation $(ARGS)

# Odd input to everything that reads some, each for so many seconds; stops at the first thing that breaks.
fuzz: $(VENV)/.installed
	$(PY) -m tests.fuzz.run --seconds $(SECONDS) $(ARGS)

# The pictures in docs/, as the browser tests saw them.
PICTURES = login-link new-workspace workspace-choose request-running request-succeeded request-failed job event-log audit \
  status releases
pictures: $(VENV)/.installed
	ALL_LOOKS=1 $(PY) -m pytest tests/browser
	$(PY) -m tests.browser.pictures screenshots docs/pictures request-running-phone-dark=request-phone \
	  $(foreach name,$(PICTURES),$(name)-desktop-light=$(name))

clean:
	rm -rf $(VENV) tests/e2e/real/.venv demo build dist *.egg-info
