"""A made-up estate of 300 servers on six operating systems, to try the whole pipeline on."""

from consolidate.demo.estate import Estate as Estate
from consolidate.demo.estate import make_estate as make_estate
