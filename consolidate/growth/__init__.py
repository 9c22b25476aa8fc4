"""Which way the load goes, and how long the hosts last."""

from consolidate.growth.planned import planned_placement as planned_placement
from consolidate.growth.runway import Runway as Runway
from consolidate.growth.runway import factor_after as factor_after
from consolidate.growth.runway import fleet_runways as fleet_runways
from consolidate.growth.runway import grown as grown
from consolidate.growth.trend import Direction as Direction
from consolidate.growth.trend import Kind as Kind
from consolidate.growth.trend import NoTrend as NoTrend
from consolidate.growth.trend import Subject as Subject
from consolidate.growth.trend import Trend as Trend
from consolidate.growth.trend import trend_of as trend_of
from consolidate.growth.trend import workload_trends as workload_trends
