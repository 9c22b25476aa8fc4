"""sysstat: ``sadf -j`` and ``sadf -d`` output, and the binary files of ``sadc`` that ``sadf`` reads."""
