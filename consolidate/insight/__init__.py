"""What a history says beside the plan: who peaks together, how sure the plan is, and which data look wrong."""

from consolidate.insight.confidence import Confidence as Confidence
from consolidate.insight.confidence import confidence as confidence
from consolidate.insight.copeak import CoPeak as CoPeak
from consolidate.insight.copeak import copeak as copeak
from consolidate.insight.hints import Hint as Hint
from consolidate.insight.hints import swap_hints as swap_hints
from consolidate.insight.missing import missing as missing
from consolidate.insight.quality import Inspected as Inspected
from consolidate.insight.quality import faults as faults
from consolidate.insight.quality import findings as findings
from consolidate.insight.rivalry import Pair as Pair
from consolidate.insight.rivalry import compare as compare
from consolidate.model.finding import Finding as Finding
