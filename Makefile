# Everything a person needs to try, test and build Gatebooth. `make` alone lists the targets.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-labgrid proof bench bench-image hil hil-soak lint format wheel clean

# What `gatebooth demo` is given, as DEMO_ARGS=--json.
DEMO_ARGS ?=
# What pytest is given, as TEST_ARGS="tests/unit -x".
TEST_ARGS ?=
# How many files of tests run side by side; most of their time is waiting.
TEST_WORKERS ?= 3
# What the campaign is given, as PROOF_ARGS="cuts --seed 7".
PROOF_ARGS ?=
# What the benches are given.
BENCH_ARGS ?=
# What the hardware bench's pytest is given, as HIL_ARGS="-k press".
HIL_ARGS ?=
# Where it leaves measurements, JUnit's file, and what failing tests attach.
HIL_OUT := build/hil

PY := .venv/bin/python
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
# Debian keeps servers such as mosquitto out of a plain user's path.
WITH_SBIN := PATH="$$PATH:/usr/sbin:/sbin"

# PyAudio compiles against PortAudio; the sound and camera tests run over ALSA files and a GStreamer RTSP server.
TEST_PACKAGES := mosquitto mosquitto-clients nats-server rabbitmq-server openssl nftables gcc libc6-dev python3-dev \
	portaudio19-dev libasound2-dev libasound2-plugins \
	python3-gi gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
	gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly

# A board in QEMU: its image is made of Debian's arm64 packages, its card is served by nbdkit.
BOARD_PACKAGES := qemu-system-arm device-tree-compiler e2fsprogs kmod cpio zstd socat nbdkit nbdkit-plugin-python fakeroot

help: ## list the targets
	@grep --no-filename -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: .venv/demo ## press the button of a simulated booth and watch the alarm arrive (DEMO_ARGS=--json)
	@.venv/bin/gatebooth demo $(DEMO_ARGS)

test: .venv/dev lint ## install what the tests need, check style and types, run the tests (TEST_ARGS="tests/unit -x")
	@$(WITH_SBIN) $(PY) -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile $(TEST_ARGS)

test-labgrid: .venv/made ## hold the real bench to labgrid's own drivers, in an environment of its own
	@.ci/labgrid

proof: .venv/proof ## cut power, links, disks and processes for minutes, and write docs/reliability.md (best as root)
	@$(WITH_SBIN) PYTHONPATH=tests $(PY) -m proof $(PROOF_ARGS)

bench: .venv/dev ## measure, and print the table of docs/performance.md
	@for bench in tests/bench/bench_*.py; do $(WITH_SBIN) $(PY) "$$bench" $(BENCH_ARGS) || exit 1; done

bench-image: .venv/board ## build the virtual board's image with the panel installed, or find it in the cache
	@$(WITH_SBIN) PYTHONPATH=tests $(PY) -m hil.virtual.image

hil: .venv/board ## press, cut and starve an installed panel on Debian arm64 in QEMU (HIL_ARGS="-k press")
	@$(call on_the_board,25)

hil-soak: .venv/board ## the same with 1000 cuts of the power: hours
	@$(call on_the_board,1000)

# 25 cuts of the power are 25 cold starts of an emulated board: a quarter of an hour is no hang.
on_the_board = $(WITH_SBIN) $(PY) -m pytest tests/hil --bench virtual --bench-cuts $(1) --bench-out $(HIL_OUT) \
	-o faulthandler_timeout=1200 --junitxml $(HIL_OUT)/junit.xml $(HIL_ARGS)

lint: .venv/dev ## check style and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: .venv/dev ## put the code into the one format
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

wheel: .venv/made ## build dist/gatebooth-*.whl
	@PYTHON=$(PY) .ci/wheel dist
	@ls dist/*.whl

clean: ## remove the virtual environment, caches and built files
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/made: .ci/venv
	@PYTHON="$(PYTHON)" .ci/venv

# The second depends on the first so that `make -j` never runs two installs in one environment.
.venv/demo: .venv/made pyproject.toml
	@echo "gatebooth: installing the demo's packages into .venv" >&2
	@$(PIP_INSTALL) --editable '.[demo]' >&2
	@touch $@

.venv/dev: .venv/demo Makefile .ci/packages
	@.ci/packages $(TEST_PACKAGES) >&2
	@echo "gatebooth: installing the tests' packages into .venv" >&2
	@$(PIP_INSTALL) --editable '.[dev]' >&2
	@touch $@

.venv/board: .venv/dev
	@.ci/packages $(BOARD_PACKAGES) >&2
	@touch $@

.venv/proof: .venv/dev
	@echo "gatebooth: installing the stores that the proof compares with into .venv" >&2
	@$(PIP_INSTALL) --editable '.[proof]' >&2
	@touch $@
