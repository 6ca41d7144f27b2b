# The cluster under test. EG=1.2.8|1.3.0|1.9.0|upgrade, or several in quotes, chooses what runs.
E2E := $(BIN)/python -m tests.e2e.cluster
E2E_DEFAULT := 1.3.0 1.9.0 upgrade
EG ?= $(E2E_DEFAULT)
STORY ?=
CERTS ?=

.PHONY: e2e e2e-up e2e-down e2e-status e2e-build e2e-capture

e2e-up: $(VENV)/.dev ## start a Kubernetes with Envoy Gateway (EG=1.3.0) and the demo gateway; root
	@$(E2E) up
	@$(E2E) install $(firstword $(filter-out upgrade,$(EG)) 1.3.0)
	@echo 'now: eval "$$($(E2E) env)"'

e2e: $(VENV)/.dev ## tell the stories on real clusters (EG=1.9.0, STORY=words to choose, CERTS=full); root
	@EGOPS_E2E_EG="$(EG)" EGOPS_E2E_CERTS="$(CERTS)" $(BIN)/python -m pytest tests/e2e -p no:cacheprovider --durations=8 \
	  $(if $(STORY),-k "$(STORY)")

e2e-down: $(VENV)/.dev ## stop and remove all that e2e-up made
	@$(E2E) down

e2e-status: $(VENV)/.dev ## components, memory, pods
	@$(E2E) status

e2e-build: $(VENV)/.dev ## build every binary of the cluster and its extras into the cache
	@$(E2E) build --extras

e2e-capture: $(VENV)/.dev ## save what the cluster shows, without secrets, into OUT=folder
	@$(E2E) capture $(or $(OUT),build/capture)
