# Short names for the programs in tests/. They bring what they need: see tests/tooling.

PYTHON ?= python3
TOOL := PYTHONPATH=tests $(PYTHON) -m tooling
LONG := rollback faults
ROUTING := routing_cross_subnet routing_vxlan routing_bgp_mesh switch_routing reflectors reflectors_routed ebgp
LAB := $(TOOL).launch podnet_lab $(if $(TOPOLOGY),--topology $(TOPOLOGY))

.DEFAULT_GOAL := help
.PHONY: help demo test test-faults test-routing test-vm lint sanity unit molecule lab lab-down clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Move a real cluster from Flannel to Calico under load, and report (options: DEMO_ARGS="--help")
	@$(TOOL).launch podnet_demo $(DEMO_ARGS)

test: ## Run all checks: lint, sanity, unit, molecule
	@$(TOOL).check

test-faults: ## Run the scenarios that are too long for every run: rollback, faults
	@$(TOOL).launch tooling.molecule $(LONG)

test-routing: ## Run those of other ways of routing and between them, route reflectors, eBGP (about an hour)
	@$(TOOL).launch tooling.molecule $(ROUTING)

test-vm: ## Try the kernel playbooks on a virtual machine, for an hour (VM_ARGS="--help")
	@$(TOOL).launch podnet_vm $(VM_ARGS)

lint: ## Run linters, type checks and the checks of the documentation
	@$(TOOL).check lint

sanity: ## Run ansible-test sanity on the oldest and the newest ansible-core
	@$(TOOL).check sanity

unit: ## Run the unit tests on both versions of ansible-core
	@$(TOOL).check unit

molecule: ## Run the molecule scenarios, on a real cluster each
	@$(TOOL).check molecule

lab: ## Bring up a cluster with Flannel on this machine (TOPOLOGY=six for a larger one)
	@$(LAB) up

lab-down: ## Remove it, and whatever is left of it
	@$(LAB) down

clean: ## Remove reports and results; builds and environments stay in ~/.cache/podnet-cni
	@rm -rf build
