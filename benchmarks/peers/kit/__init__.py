"""What all peers share. It runs in their environments, so it imports the standard library alone
and, in the modules that say so, Django, Celery or kombu.
"""
