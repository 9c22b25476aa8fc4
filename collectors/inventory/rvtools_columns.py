"""Sheets and columns of RVTools that are read, under the headings of versions 3 to 4."""

from __future__ import annotations

from collectors.inventory.estate import MIB
from collectors.inventory.tables import column

SHEETS = ("vInfo", "vCPU", "vMemory", "vDisk", "vHost", "vCluster", "vMetaData")

VM = column("VM")
UUID = column("VM UUID")
ID = column("VM ID")
SERVER = column("VI SDK Server")
DATACENTER = column("Datacenter")
CLUSTER = column("Cluster")
HOST = column("Host")

POWER = column("Powerstate")
TEMPLATE = column("Template")
PLACEHOLDER = column("SRM Placeholder")
VCPUS = column("CPUs", whole=True)
MEMORY = column("Memory", "Memory MiB", "Memory MB", unit=MIB, whole=True)
PROVISIONED = column("Provisioned MiB", "Provisioned MB", unit=MIB)
IN_USE = column("In Use MiB", "In Use MB", unit=MIB)
OS_TOLD = column("OS according to the VMware Tools")
OS_SET = column("OS according to the configuration file", "OS")
VAPP = column("vApp")
OWNER = column("Owner", "VM Owner", "Application Owner", "Business Owner")
SERVICE = column("Application", "Application Name", "Service")
RULE_KINDS = column("Cluster rule(s)")
RULE_NAMES = column("Cluster rule name(s)")
INFO = (
    *(VM, UUID, ID, SERVER, DATACENTER, CLUSTER, HOST, POWER, TEMPLATE, PLACEHOLDER, VCPUS, MEMORY, PROVISIONED),
    *(IN_USE, OS_TOLD, OS_SET, VAPP, OWNER, SERVICE, RULE_KINDS, RULE_NAMES),
)

CPU_USED_MHZ = column("Overall")
CPU_LIMIT_MHZ = column("Limit")
CPU = (VM, UUID, ID, SERVER, CPU_USED_MHZ, CPU_LIMIT_MHZ)

CONSUMED = column("Consumed", unit=MIB)
MEMORY_LIMIT = column("Limit", unit=MIB)
MEMORY_SHEET = (VM, UUID, ID, SERVER, CONSUMED, MEMORY_LIMIT)

DISK_SIZE = column("Capacity MiB", "Capacity MB", unit=MIB)
DISK = (VM, UUID, ID, SERVER, DISK_SIZE)

CPU_MODEL = column("CPU Model")
CORE_MHZ = column("Speed")
SOCKETS = column("# CPU", whole=True)
CORES_PER_SOCKET = column("Cores per CPU", whole=True)
CORES = column("# Cores", whole=True)
HOST_MEMORY = column("# Memory", unit=MIB, whole=True)
RUNNING = column("# VMs", whole=True)
RUNNING_VCPUS = column("# vCPUs", whole=True)
RUNNING_MEMORY = column("vRAM", unit=MIB)
MAINTENANCE = column("in Maintenance Mode")
VERSION = column("ESX Version")
VENDOR = column("Vendor")
HOST_UUID = column("UUID")
HOSTS = (
    *(HOST, SERVER, DATACENTER, CLUSTER, CPU_MODEL, CORE_MHZ, SOCKETS, CORES_PER_SOCKET, CORES, HOST_MEMORY, RUNNING),
    *(RUNNING_VCPUS, RUNNING_MEMORY, MAINTENANCE, VERSION, VENDOR, HOST_UUID),
)

CLUSTER_NAME = column("Name")
HA = column("HA enabled")
ADMISSION = column("AdmissionControlEnabled")
FAILOVER_HOSTS = column("Failover Level", whole=True)
CLUSTERS = (CLUSTER_NAME, SERVER, DATACENTER, HA, ADMISSION, FAILOVER_HOSTS)

CREATED = column("xlsx creation datetime")
