"""The REST API under ``/api/v1``: bodies in, use cases of `access`, resources out."""
