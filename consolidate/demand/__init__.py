"""From raw samples to what must be reserved: rates, then profiles, then sizes."""

from consolidate.demand.history import History as History
from consolidate.demand.history import in_memory as in_memory
from consolidate.demand.history import read_history as read_history
from consolidate.demand.sizing import estimate as estimate
