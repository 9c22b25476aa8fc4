"""What a history says beside the plan: who peaks together, how sure the plan is, and which data look wrong."""

from consolidate.insight.confidence import Confidence as Confidence
from consolidate.insight.confidence import confidence as confidence
from consolidate.insight.copeak import CoPeak as CoPeak
from consolidate.insight.copeak import copeak as copeak
from consolidate.insight.hints import Hint as Hint
from consolidate.insight.hints import swap_hints as swap_hints
from consolidate.insight.quality import Finding as Finding
from consolidate.insight.quality import findings as findings
