"""The agent: samples a host for months, keeps what it measured on disk until a store has it, and tells what it costs.

    observer.py    one round of all collectors
    segment.py     the format of what is kept: only what changed, from round to round
    spool.py       segments on disk, bounded, whole after any kill; writing.py is the one being written
    loop.py        when rounds are due; time is passed in
    push.py        takes segments to a receiver; server.py hands them out, and the metrics of exposition.py
    command.py     options and wiring; unit.py prints them as a unit of systemd

Like all of ``collectors`` it needs Python and psutil, and runs alone: ``python -m collectors.agent``.
"""
