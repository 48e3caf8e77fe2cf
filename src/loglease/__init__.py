"""LogLease: just-in-time access to debug logs."""

__version__ = "0.1.0"
