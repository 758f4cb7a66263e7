"""Other outboxes and job queues at the same work, each in a virtual environment of its own."""
