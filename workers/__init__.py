"""The workers: Celery tasks, leases, the sweep, and the training programs that run as subprocesses."""
