"""Configuration of the service: the only package that knows its environment.

Empty, so that gunicorn's master can read its own settings here without loading Celery: what is
loaded before the workers are monkey-patched stays unpatched in them.
"""
