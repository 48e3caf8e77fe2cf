"""The canonical layout of policy files: same documents, same comments, one way to write them.

`laid_out` is the whole of it. It works on the parser's marks and not on a tree of values, so that quotes stay as they
were written and no comment is lost.
"""

from loglease.policy.layout.formatting import laid_out

__all__ = ["laid_out"]
