"""Small valid files of every format, to be damaged."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from collectors.traces.tianchi import POINTS
from tests.support.workbooks import workbook

HOSTS = Path(__file__).parents[1] / "fixtures/hosts"


@dataclass(frozen=True)
class Files:
    """What an importer is given: one file that gets damaged, and the others that belong to it."""

    name: str
    """Of the damaged file, in its folder."""
    contents: tuple[bytes, ...]
    others: Mapping[str, bytes] = field(default_factory=dict)
    is_folder: bool = True
    """Whether the importer is given the folder and not the file."""
    folder: str = "files"
    packed: bool = False
    """Whether the damaged file is gzipped after it was damaged."""

    @contextmanager
    def written(self, content: bytes) -> Iterator[Path]:
        """The files with other content of the first; what an importer is given."""
        with tempfile.TemporaryDirectory(prefix="consolidate-fuzz-") as above:
            folder = Path(above) / self.folder
            folder.mkdir()
            for name, text in {**self.others, self.name: gzip.compress(content) if self.packed else content}.items():
                (folder / name).write_bytes(text)
            yield folder if self.is_folder else folder / self.name


SADF_JSON = json.dumps(
    {
        "sysstat": {
            "hosts": [
                {
                    "nodename": "web-1",
                    "sysname": "Linux",
                    "release": "6.1.0",
                    "number-of-cpus": 2,
                    "timezone": "CET",
                    "statistics": [
                        {
                            "timestamp": {"date": "2026-01-31", "time": "10:00:01", "utc": 1, "interval": 600},
                            "cpu-load": [
                                {"cpu": "all", "user": 3.5, "iowait": 0.5, "steal": 0.0, "idle": 90.0},
                                {"cpu": "0", "user": 3.5, "iowait": 0.5, "steal": 0.0, "idle": 90.0},
                            ],
                            "memory": {
                                **{"memfree": 500, "avail": 700, "memused": 300, "memused-percent": 30.0},
                                **{"buffers": 100, "cached": 100, "slab": 0, "swpused": 5},
                            },
                            "io": {"io-reads": {"rtps": 1.0, "bread": 8.0}, "io-writes": {"wtps": 2.0, "bwrtn": 16.0}},
                            "disk": [{"disk-device": "sda", "tps": 3.0, "rkB": 4.0, "wkB": 8.0}],
                            "network": {"net-dev": [{"iface": "eth0", "rxkB": 1.0, "txkB": 2.0}]},
                            "psi": {"psi-cpu": {"some_avg": 1.5}, "psi-io": {"some_avg": 1.0, "full_avg": 0.5}},
                        },
                        {
                            "timestamp": {"date": "2026-01-31", "time": "10:10:01", "tz": "Europe/Berlin"},
                            "cpu-load": [{"cpu": "all", "idle": 80.0}],
                            "disk": [{"disk-device": "sda", "tps": 3.0, "rd_sec": 4.0, "wr_sec": 8.0}],
                        },
                    ],
                    "restarts": [{"boot": {"date": "2026-01-31", "time": "10:05:00", "utc": 1, "cpu_count": 4}}],
                }
            ]
        }
    }
).encode()
SADF_CSV = b"""\
# hostname;interval;timestamp;CPU;%user;%nice;%system;%iowait;%steal;%idle
web-1;600;2026-01-31 10:00:01 UTC;-1;3,50;0.00;1.00;0.50;0.00;95.00
web-1;600;2026-01-31 10:00:01 UTC;0;3.50;0.00;1.00;0.50;0.00;95.00
web-1;-1;2026-01-31 10:05:00 UTC;LINUX-RESTART\t(2 CPU)
# hostname;interval;timestamp;kbmemfree;kbavail;kbmemused;%memused;kbbuffers;kbcached
web-1;600;2026-01-31 10:00:01 UTC;500;700;300;30.00;100;100
# hostname;interval;timestamp;IFACE;rxpck/s;txpck/s;rxkB/s;txkB/s
web-1;600;1769853601;eth0;1.00;2.00;3.00;4.00
"""
PMREP = b"""\
Time,"kernel.uname.nodename","hinv.ncpu","mem.physmem","mem.util.available","kernel.all.cpu.user","kernel.all.cpu.nice",\
"kernel.all.cpu.sys","kernel.all.cpu.intr","kernel.all.boottime","disk.dev.read_bytes-sda","disk.dev.read_bytes-sda1",\
"network.interface.in.bytes-eth0","cgroup.cpuacct.usage-/system.slice/web.service","cgroup.memory.limit-/a"
1769853601,"web-1",2,1000,600,100,0,50,5,1769850000,10,5,77,123456789,9223372036854771712
1769853661,"web-1",2,1000,500,200,0,60,6,1769850000,20,6,78,223456789,4096
2026-01-31T10:02:01+00:00,"web-1",,,,300,0,70,7,1769850001,30,,79,,
"""
TABLE = b"""\
time,server,vm,cpu,vcpus,ram
2024-01-01T00:00:00Z,h1,v1,50,4,8
2024-01-01T00:05:00+01:00,h1,v1,60.5,4,8
2024-01-01T00:05:00Z,h2,,10,2,
"""
MAPPING = b"""\
[columns]
at = "time"
host = "server"
workload = "vm"
[time]
unit = "text"
[metrics]
cpu_cores = {column = "cpu", unit = "percent-of-cores", cores = "vcpus"}
memory_working_set_bytes = {column = "ram", unit = "GiB"}
[size]
cpu_milli = {column = "vcpus", unit = "cores"}
"""
LONG_TABLE = b"""\
at;host;counter;reading
1700000000;h1;cpu;50,5
1700000300;h1;mem;60
"""
LONG_MAPPING = b"""\
[columns]
at = "at"
host = "host"
metric = "counter"
value = "reading"
[metrics]
cpu_cores = {name = "cpu", unit = "MHz", mhz_per_core = 2400}
memory_working_set_bytes = {name = "mem", unit = "MiB"}
[format]
separator = ";"
decimal = ","
"""
AZURE_VMS = (
    b"vm-a,sub,dep,0,2591700,99.1,9.5,44.0,Interactive,4,7.0\nvm-b,sub,dep,0,900,50,1,2,Delay-insensitive,2,3.5\n"
)
AZURE_READINGS = b"0,vm-a,1.0,50.0,10.0\n300,vm-a,2.0,60.0,20.0\n0,vm-b,0,1,0.5\n"
MACHINE_META = b"m_1,0,1,d1,96,100,USING\nm_2,0,2,d1,96,100,USING\n"
MACHINE_USAGE = b"m_1,386400,41,92,,,43.0,33.2,5\nm_1,386410,45,-1,,,43.0,33.2,101\n"
CONTAINER_META = b"c_1,m_1,0,app_1,started,400,800,1.56\nc_2,m_2,0,app_1,started,800,800,3.1\n"
CONTAINER_USAGE = b"c_1,m_1,386400,12,80,1.2,0.5,0,0.1,0.1,3\nc_2,m_2,386410,,70,1.2,0.5,0,0.1,0.1,3\n"
_CURVE = "|".join(["1.5"] * POINTS)
TIANCHI_APPS = f"app_1,{_CURVE},{_CURVE},60,0,0,0\n".encode()
TIANCHI_MACHINES = b"machine_1,32,64,1440,7,3,7\n"
TIANCHI_INSTANCES = b"inst_1,app_1,machine_1\ninst_2,app_1,\n"
BITBRAINS = b"Timestamp [ms];\tCPU cores;\tand nine more\n" + b"".join(
    b"%d;\t2;\t5200.0;\t130.5;\t2.5;\t8388608;\t1024;\t1;\t2.5;\t3;\t4\n" % at for at in (1_375_308_176, 1_375_308_476)
)
PLANETLAB = b"".join(b"%d\n" % (number % 101) for number in range(288))
RECORDS = b"""\
{"type": "HostRecord", "name": "h1", "capacity": {"cpu_milli": 4000}}
{"type": "WorkloadRecord", "name": "a.service", "kind": "service", "host": "h1"}
{"type": "Sample", "at_s": 1700000000, "host": "h1", "workload": null, "incarnation": "1", "metric": "pids", "value": 3}
"""
SEGMENT = b"""\
{"type":"Segment","format":1,"host":"web-1"}
{"type":"HostRecord","name":"web-1","capacity":{"cpu_milli":4000}}
{"type":"Series","first":0,"workload":null,"incarnation":"7","metrics":["pids","cpu_seconds_total"]}
{"type":"Round","at_s":1780315200,"series":[0,1],"values":[3,0.5]}
{"type":"Round","at_s":1780315210,"series":[1],"values":[0.7],"absent":[0]}
"""
DISCOVERY = b"""\
ExternalId,HostName,VMware.VMName,CPU.NumberOfProcessors,CPU.NumberOfCores,CPU.NumberOfLogicalCores,OS.Name,OS.Version,\
RAM.TotalSizeInMB,RAM.UsedSizeInMB.Max,CPU.UsagePct.Max,DiskReadsPerSecondInKB.Max,Applications
e-1,web-1,web-1,1,4,8,Linux,Debian 12,16384,4096,35.5,12.5,shop
e-2,web-2,,1,4,8,Windows,2019,8192,,,,
"""
OPTIMIZER = b"""\
accountId,instanceArn,instanceName,finding,current_vcpus,current_memory,utilizationMetrics_CPU_MAXIMUM,\
utilizationMetrics_MEMORY_MAXIMUM,errorCode
123,arn:aws:ec2:eu-central-1:123:instance/i-1,web-1,OVER_PROVISIONED,4,16384,30.5,40.0,
"""
AZURE_MIGRATE = b"""\
*Server Name,IP addresses,*Cores,*Memory (In MB),*OS name,CPU utilization percentage,Memory utilization percentage,\
Network In throughput,Number of disks,Disk 1 size (In GB),Disk 1 read ops (operations per second)
web-1,10.0.0.1,4,8192,Linux,30.5,40,1.5,1,100,12
"""
VSPHERE = b"""\
"MetricId","Timestamp","Value","Unit","Entity","IntervalSecs"
"cpu.usage.average","31.01.2026 10:00:00","12,5","%","web-1","20"
"cpu.usagemhz.average","2026-01-31T10:00:20","650","MHz","web-1","20"
"mem.consumed.average","2026-01-31T10:00:20","1048576","KB","web-1","20"
"""
POWERCLI = b'"Name","PowerState","NumCpu","MemoryGB","VMHost","Guest"\n"web-1","PoweredOn","2","4","esx-1","Debian"\n'
EXPOSITION = b"""\
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 1.5e+06
node_cpu_seconds_total{cpu="0",mode="user"} 2500.25
# TYPE node_memory_MemTotal_bytes gauge
node_memory_MemTotal_bytes 8.2e+09
node_memory_MemAvailable_bytes 4.1e+09
node_uname_info{nodename="web-1",release="6.1.0",sysname="Linux",machine="x86_64"} 1
node_boot_time_seconds 1.76e+09
"""
RVTOOLS = workbook(
    {
        "vInfo": [
            [
                "VM",
                "Powerstate",
                "Template",
                "CPUs",
                "Memory",
                "Provisioned MiB",
                "In Use MiB",
                "Cluster",
                "Host",
                "VM UUID",
            ],
            ["web-1", "poweredOn", "False", 4, 8192, 40960, 20480, "c1", "esx-1", "4208"],
        ],
        "vHost": [
            ["Host", "Cluster", "CPU Model", "Speed", "# CPU", "# Cores", "# Memory"],
            ["esx-1", "c1", "Xeon", 2400, 2, 16, 262144],
        ],
    }
)
LIVE_OPTICS = workbook(
    {
        "VMs": [
            ["VM Name", "VM OS", "Virtual CPU", "Provisioned Memory (MiB)", "Power State", "Template"],
            ["web-1", "Linux", 4, 8192, "poweredOn", "False"],
        ],
        "ESX Hosts": [["Host Name", "CPU Cores", "Memory (KiB)"], ["esx-1", 16, 268435456]],
    }
)


def parquet() -> bytes:
    """The wide table as a Parquet file."""
    with duckdb.connect() as connection:
        row = "1700000000 + 300 * n AS time, 'h1' AS server, 'v' || n AS vm, n * 1.5 AS cpu, 4 AS vcpus, 8.0 AS ram"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.parquet"
            connection.execute(f"COPY (SELECT {row} FROM range(5) AS steps(n)) TO '{path}' (FORMAT parquet)")
            return path.read_bytes()


def _zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("x_app_resources_x.csv", TIANCHI_APPS)
        archive.writestr("x_machine_resources_x.csv", TIANCHI_MACHINES)
        archive.writestr("x_instance_deploy_x.csv", TIANCHI_INSTANCES)
    return content.getvalue()


_TIANCHI = {
    "app_resources.csv": TIANCHI_APPS,
    "machine_resources.csv": TIANCHI_MACHINES,
    "instance_deploy.csv": TIANCHI_INSTANCES,
}
_ALIBABA = {
    **{"machine_meta.csv": MACHINE_META, "machine_usage.csv": MACHINE_USAGE},
    **{"container_meta.csv": CONTAINER_META, "container_usage.csv": CONTAINER_USAGE},
}


ZIPPED = _zip()


def without(files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    """All files but one."""
    return {other: content for other, content in files.items() if other != name}


FORMATS: Mapping[str, tuple[Files, ...]] = {
    "agent": (
        Files("1.jsonl.gz", (SEGMENT,), is_folder=False, packed=True),
        Files("1.jsonl.gz", (gzip.compress(SEGMENT),), is_folder=False),
    ),
    "alibaba": tuple(Files(name, (content,), without(_ALIBABA, name)) for name, content in _ALIBABA.items()),
    "aws-compute-optimizer": (Files("export.csv", (OPTIMIZER,), is_folder=False),),
    "aws-discovery": (Files("export.csv", (DISCOVERY,), is_folder=False),),
    "azure": (
        Files("vmtable.csv", (AZURE_VMS,), {"vm_cpu_readings-file-1-of-1.csv": AZURE_READINGS}),
        Files("vm_cpu_readings-file-1-of-1.csv", (AZURE_READINGS,), {"vmtable.csv": AZURE_VMS}),
        Files("vmtable.csv.gz", (gzip.compress(AZURE_VMS),), {"vm_cpu_readings-file-1-of-1.csv": AZURE_READINGS}),
    ),
    "azure-migrate": (Files("servers.csv", (AZURE_MIGRATE,), is_folder=False),),
    "bitbrains": (Files("1.csv", (BITBRAINS,)),),
    "exposition": (Files("web-1.txt", (EXPOSITION,), is_folder=False),),
    "live-optics": (Files("export.xlsx", (LIVE_OPTICS,), is_folder=False),),
    "pcp": (Files("web-1.csv", (PMREP,), is_folder=False),),
    "planetlab": (Files("vm", (PLANETLAB,), folder="20110303"),),
    "records": (Files("web-1.jsonl", (RECORDS,), is_folder=False),),
    "rvtools": (Files("export.xlsx", (RVTOOLS,), is_folder=False),),
    "sysstat": (Files("sa31", (SADF_JSON, SADF_CSV), is_folder=False),),
    "table": (
        Files("a.csv", (TABLE,), {"mapping.toml": MAPPING}, is_folder=False),
        Files("mapping.toml", (MAPPING,), {"a.csv": TABLE}),
        Files("a.csv", (LONG_TABLE,), {"mapping.toml": LONG_MAPPING}),
        Files("mapping.toml", (LONG_MAPPING,), {"a.csv": LONG_TABLE}),
        Files("a.parquet", (parquet(),), {"mapping.toml": MAPPING.replace(b'unit = "text"', b'unit = "s"')}),
    ),
    "tianchi": (
        *(Files(name, (content,), without(_TIANCHI, name)) for name, content in _TIANCHI.items()),
        Files("data.zip", (ZIPPED,), is_folder=False),
    ),
    "vsphere": (
        Files("stats.csv", (VSPHERE,), {"vms.csv": POWERCLI}),
        Files("vms.csv", (POWERCLI,), {"stats.csv": VSPHERE}),
    ),
}
"""By importer; a format that is registered and has no files here fails the test of that."""


def kernel_texts() -> tuple[bytes, ...]:
    """Kernel files of the host trees, short ones, each content once."""
    contents = {path.read_bytes() for path in sorted(HOSTS.rglob("*")) if path.is_file() and path.stat().st_size < 4096}
    return tuple(sorted(contents))
