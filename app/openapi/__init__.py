"""The description of the service's public addresses, as OpenAPI 3.1, and its own address.

Made from what parses and answers: the types of events and answers, the limits, the catalogue of
problems.
"""
