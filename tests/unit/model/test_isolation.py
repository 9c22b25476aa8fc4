"""Container or virtual machine, and what each costs."""

from __future__ import annotations

import numpy as np
import pytest

from consolidate.model.fleet import Fleet, Hypervisor, Isolation
from consolidate.model.isolation import choose_isolation, demand_on
from tests.support.fleets import GIB, demand, host, workload

MIB = 1024**2
EMPTY = Fleet((), ())


@pytest.mark.parametrize(
    ("guest", "os", "hypervisor", "vendor", "expected"),
    [
        ("ubuntu", "debian", Hypervisor.NONE, "", Isolation.CONTAINER),
        ("ubuntu", "debian", Hypervisor.NATIVE, "", Isolation.CONTAINER),
        ("windows-7", "debian", Hypervisor.NATIVE, "", Isolation.VM),
        ("windows-7", "debian", Hypervisor.HOSTED, "", Isolation.HOSTED_VM),
        ("windows-7", "debian", Hypervisor.NONE, "", None),
        ("windows-7", "windows-7", Hypervisor.NONE, "", None),
        ("windows-10", "windows-10", Hypervisor.NONE, "", Isolation.CONTAINER),
        ("windows-7", "windows-10", Hypervisor.HOSTED, "", Isolation.HOSTED_VM),
        ("debian", "macos", Hypervisor.HOSTED, "apple", Isolation.HOSTED_VM),
        ("macos", "debian", Hypervisor.NATIVE, "", None),
        ("macos", "macos", Hypervisor.HOSTED, "apple", Isolation.HOSTED_VM),
    ],
)
def test_the_cheapest_isolation_that_is_allowed(guest, os, hypervisor, vendor, expected) -> None:
    stranger = workload("w", "elsewhere", os=guest, isolation=Isolation.NATIVE)
    assert choose_isolation(EMPTY, stranger, host("h", os=os, hypervisor=hypervisor, vendor=vendor)) is expected


def test_a_virtual_machine_never_becomes_a_container() -> None:
    machine = workload("w", "elsewhere", isolation=Isolation.VM)
    assert choose_isolation(EMPTY, machine, host("h")) is Isolation.VM


def test_at_home_nothing_changes() -> None:
    settled = workload("w", "h", os="windows-7", isolation=Isolation.NATIVE)
    assert choose_isolation(EMPTY, settled, host("h", os="windows-7")) is Isolation.NATIVE


def test_isolations_that_are_not_allowed_are_not_chosen() -> None:
    only_vm = workload("w", "elsewhere", isolation=Isolation.NATIVE, allowed=frozenset({Isolation.VM}))
    assert choose_isolation(EMPTY, only_vm, host("h")) is Isolation.VM
    nothing = workload("w", "elsewhere", isolation=Isolation.NATIVE, allowed=frozenset())
    assert choose_isolation(EMPTY, nothing, host("h")) is None


def test_a_virtual_machine_pays_overhead_and_a_guest_system() -> None:
    windows = workload("w", "elsewhere", os="windows-7", isolation=Isolation.NATIVE)
    need = demand_on(EMPTY, windows, demand("w", 1000, GIB), Isolation.VM, ("cpu_milli", "memory_bytes"), 1)
    # 5 % CPU; 2 % memory, 100 MiB for the machine and 1 GiB for the guest, every fraction rounded up.
    assert need.tolist() == [[1050], [GIB + -(-GIB * 20 // 1000) + 100 * MIB + GIB]]


def test_the_isolation_it_was_measured_in_costs_nothing_more() -> None:
    machine = workload("w", "elsewhere", isolation=Isolation.VM)
    need = demand_on(EMPTY, machine, demand("w", 1000, GIB), Isolation.VM, ("cpu_milli", "memory_bytes"), 24)
    assert (need == np.array([[1000], [GIB]])).all()


def test_copies_of_a_licensed_system_are_counted() -> None:
    mac = workload("w", "elsewhere", os="macos", isolation=Isolation.NATIVE)
    assert demand_on(EMPTY, mac, demand("w", 1, 1), Isolation.HOSTED_VM, ("macos_vms",), 1).tolist() == [[1]]
    assert demand_on(EMPTY, mac, demand("w", 1, 1), Isolation.NATIVE, ("macos_vms",), 1).tolist() == [[0]]
