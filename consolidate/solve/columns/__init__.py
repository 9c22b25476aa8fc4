"""Column generation for packing: patterns of bins, their prices, and the proof."""

from consolidate.solve.columns.engine import Effort as Effort
from consolidate.solve.columns.engine import Packed as Packed
from consolidate.solve.columns.engine import compile_kernels as compile_kernels
from consolidate.solve.columns.engine import pack as pack
from consolidate.solve.columns.instance import Instance as Instance
from consolidate.solve.columns.instance import Pattern as Pattern
from consolidate.solve.columns.instance import uniform_bins as uniform_bins
