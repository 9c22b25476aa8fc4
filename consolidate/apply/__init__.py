"""Partitions on hosts: written, checked, taken back. Dry until told otherwise."""

from consolidate.apply.compare import Preparation as Preparation
from consolidate.apply.compare import Status as Status
from consolidate.apply.compare import prepare as prepare
from consolidate.apply.compare import status as status
from consolidate.apply.driver import apply_changes as apply_changes
from consolidate.apply.driver import rollback as rollback
from consolidate.apply.driver import unfinished as unfinished
from consolidate.apply.journal import Journal as Journal
from consolidate.apply.local import LocalMachine as LocalMachine
from consolidate.apply.machine import Machine as Machine
from consolidate.apply.records import Outcome as Outcome
from consolidate.apply.records import Records as Records
