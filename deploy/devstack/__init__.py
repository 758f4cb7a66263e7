"""The embedded servers and the supervisor behind `make run` and `make test`."""
