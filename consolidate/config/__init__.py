"""The fleet file: hosts, workloads, rules and policy in one YAML document."""

from consolidate.config.build import Inputs as Inputs
from consolidate.config.read import load_inputs as load_inputs
from consolidate.config.read import read_inputs as read_inputs
