"""Plans judged on days they have not seen."""

from consolidate.backtest.judge import BackTest as BackTest
from consolidate.backtest.judge import Judged as Judged
from consolidate.backtest.judge import backtest as backtest
from consolidate.backtest.judge import calibration as calibration
from consolidate.backtest.judge import judge_halves as judge_halves
from consolidate.backtest.judge import judge_sizings as judge_sizings
from consolidate.backtest.judge import risk_curve as risk_curve
