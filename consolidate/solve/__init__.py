"""Packing, its lower bound, and the oracle that judges both."""

from consolidate.solve.evaluate import Score as Score
from consolidate.solve.evaluate import Violation as Violation
from consolidate.solve.evaluate import evaluate as evaluate
from consolidate.solve.solve import Effort as Effort
from consolidate.solve.solve import Result as Result
from consolidate.solve.solve import solve as solve
