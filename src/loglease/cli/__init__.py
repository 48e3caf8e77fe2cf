"""The command line: a client of the REST API, and the local commands that need no server.

Public: `loglease.cli.main.main`. Nothing of `server`, `gateway`, `access`, `store` or `sources` is imported; commands
that need more are named as strings and resolved when run.
"""
