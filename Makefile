# Pillarbox. `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STACK_DIR ?= var
export STACK_DIR

.DEFAULT_GOAL := help
.PHONY: help run demo test test-all test-units bench-recovery bench-burst fuzz chaos bench-front-door bench bench-peers bench-report check docs fix lock lock-check wheel clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 18

run: $(VENV)/run.installed ## set up and start everything, send a sample delivery, serve until Ctrl-C
	@exec $(PY) -m deploy.devstack run

demo: $(VENV)/run.installed ## drive a few hundred changes through the DRF sender, time and compare them
	@exec $(PY) -m deploy.devstack demo --stack-dir "$(STACK_DIR)/demo" $(ARGS)

test: $(VENV)/dev.installed ## run the tests against servers of their own
	@exec $(PY) -m tests.sharded -m "not slow" $(ARGS)

test-all: $(VENV)/dev.installed ## the same with the long ones
	@exec $(PY) -m tests.sharded $(ARGS)

bench-recovery: $(VENV)/dev.installed ## kill each process at work, print the seconds until what it held is done
	@exec $(PY) -m deploy.devstack exec --stack-dir "$(STACK_DIR)/bench" -- $(PY) -m benchmarks.recovery $(ARGS)

bench-burst: $(VENV)/dev.installed ## send 2,000 deliveries at once, print how long their messages take
	@exec $(PY) -m deploy.devstack exec --stack-dir "$(STACK_DIR)/bench" -- $(PY) -m benchmarks.burst $(ARGS)

bench-front-door: $(VENV)/dev.installed ## weigh what a delivery costs against a view that does nothing
	@exec $(PY) -m deploy.devstack exec --stack-dir "$(STACK_DIR)/bench" -- $(PY) -m benchmarks.front_door $(ARGS)

# Durable as in production, with the memory of a server that has work to do, and nothing beside it.
BENCH = $(PY) -m deploy.devstack exec --stack-dir "$(STACK_DIR)/bench" --no-replica \
  --postgres shared_buffers=1GB --postgres max_wal_size=8GB --postgres checkpoint_timeout=30min --

bench: $(VENV)/dev.installed ## measure every promise of speed, ARGS="--only NAME --quick"
	@exec $(BENCH) $(PY) -m benchmarks $(ARGS)

bench-peers: $(VENV)/dev.installed ## install other outboxes and queues, measure beside them
	@$(PY) -m benchmarks.peers
	@exec $(BENCH) $(PY) -m benchmarks --peers $(ARGS)

bench-report: $(VENV)/dev.installed ## write docs/performance.md from what the benchmarks found
	@$(PY) -m benchmarks.report

fuzz: $(VENV)/dev.installed ## send 50,000 requests that no honest sender sends, ARGS="--seed N --requests N"
	@exec $(PY) -m deploy.devstack exec --stack-dir "$(STACK_DIR)/fuzz" -- $(PY) -m tests.fuzz $(ARGS)

# With servers of its own, which it kills: what is given is left alone.
chaos: $(VENV)/dev.installed ## break everything for 5 minutes, compare what was promised, N=1000000 for longer
	@exec $(PY) -m tests.chaos --stack-dir "$(STACK_DIR)/chaos" $(if $(N),--messages $(N)) $(ARGS)

# The check comes before everything else: another user must not even touch the environment.
test-units: ## run the units under a systemd of its own (as root)
	@[ "$$(id -u)" = 0 ] || { echo "make test-units starts a systemd: run it as root"; exit 2; }
	@unshare --mount --pid --fork --mount-proc --cgroup --uts --ipc true || \
	  { echo "make test-units needs the right to make namespaces (CAP_SYS_ADMIN)"; exit 2; }
	@case "$${BROKER:-rabbitmq} $${CELERY_BROKER_URL:-amqp://}" in rabbitmq\ amqp*) ;; \
	  *) echo "make test-units needs RabbitMQ: leave BROKER out, or give an amqp:// as CELERY_BROKER_URL"; exit 2;; esac
	@$(MAKE) --no-print-directory $(VENV)/dev.installed
	@BROKER=rabbitmq exec $(PY) -m deploy.devstack exec --stack-dir "$(STACK_DIR)/test" -- $(PY) -m pytest tests/systemd $(ARGS)

# What production demands, made up: the checks connect to nothing.
CHECK_ENV = env DJANGO_SETTINGS_MODULE=settings.production \
  DATABASE_URL=postgresql://127.0.0.1:1/x DATABASE_REPLICA_URL=postgresql://127.0.0.1:1/x \
  CELERY_BROKER_URL=amqp://127.0.0.1:1 DJANGO_ALLOWED_HOSTS=localhost \
  DJANGO_SECRET_KEY=$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(50))') \
  WEBHOOK_SECRETS=whsec_$$($(PY) -c 'import base64, secrets; print(base64.b64encode(secrets.token_bytes(32)).decode())')

check: $(VENV)/dev.installed ## format, lint, types, import contracts, migrations, system checks, docs
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command as run; run()'
	$(PY) -m deploy.compose_check
	$(CHECK_ENV) $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(CHECK_ENV) $(PY) manage.py check --deploy --fail-level WARNING
	@$(MAKE) --no-print-directory docs

# Warnings are errors, dead links among them; pages that are gone leave nothing behind.
docs: $(VENV)/dev.installed ## build the site of the documentation, in build/docs
	@rm -rf build/docs build/doctrees
	$(PY) -m sphinx -q -n -W --keep-going -d build/doctrees docs build/docs
	$(PY) -m deploy.site_check build/docs

fix: $(VENV)/dev.installed ## format, and mend what ruff can mend
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

lock: ## resolve the dependencies again and lock them with hashes (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --extra redis --extra service --extra devstack \
	  pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --all-extras -c requirements.lock \
	  pyproject.toml -o requirements-dev.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --all-extras -c requirements-dev.lock \
	  examples/drf_sender/pyproject.toml -o examples/drf_sender/requirements.lock
	for peer in benchmarks/peers/*/requirements.in; do \
	  uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-header --python-version "$$(sed -n 's/^# From Python //p' $$peer)" \
	    -c requirements.lock $$peer -o $${peer%.in}.lock || exit 1; done

lock-check: $(VENV)/dev.installed ## see that the locks have wheels for every Python and machine
	@$(PY) -m deploy.lock_check

wheel: $(VENV)/dev.installed ## build the wheel of the library (outbox and relay)
	$(PY) -m pip wheel -q --no-deps -w dist .

clean: ## remove the environment, and what servers stored in var/
	rm -rf $(VENV) var dist build

# The stamp is made last: an installation that was cut off starts again.
$(VENV)/bin/python:
	@echo "Making a virtual environment with $$($(PYTHON) --version) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Pillarbox needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "python3 -m venv failed. On Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/run.installed: requirements.lock | $(VENV)/bin/python
	@echo "Installing $$(grep -c '==' requirements.lock) packages, with hashes ..."
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/dev.installed: requirements-dev.lock | $(VENV)/bin/python
	@echo "Installing $$(grep -c '==' requirements-dev.lock) packages, with hashes ..."
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@ $(VENV)/run.installed
