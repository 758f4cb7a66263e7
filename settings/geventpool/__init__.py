"""Database backend of the web process: django-db-geventpool, with its faults mended.

As an ``ENGINE``, ``settings.geventpool``. Beside Django's own, its ``OPTIONS`` are `MAX_CONNS`
(connections that one process opens to the database at most) and `POOL_TIMEOUT` (seconds that a
request waits for one of them).
"""
