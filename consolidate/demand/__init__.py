"""From raw samples to what must be reserved: rates, then profiles, then sizes."""

from consolidate.demand.sizing import estimate as estimate
