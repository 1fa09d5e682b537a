"""The edges: one file a system. Each implements a port of kernel/ports.py and translates its errors there."""
