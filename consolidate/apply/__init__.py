"""Partitions on hosts: written, checked, taken back. Dry until told otherwise."""

from consolidate.apply.apply import Outcome as Outcome
from consolidate.apply.apply import Status as Status
from consolidate.apply.apply import apply_changes as apply_changes
from consolidate.apply.apply import prepare as prepare
from consolidate.apply.apply import rollback as rollback
from consolidate.apply.apply import status as status
from consolidate.apply.files import Files as Files
from consolidate.apply.journal import Journal as Journal
