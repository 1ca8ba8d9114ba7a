"""A Ray cluster on this machine with a Serve file on it, until Ctrl-C: python local_tier.py serve.yaml."""

import sys

import ray
from ray.serve.scripts import cli

if __name__ == "__main__":
    ray.init(num_cpus=4, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
    cli(["run", sys.argv[1]])
