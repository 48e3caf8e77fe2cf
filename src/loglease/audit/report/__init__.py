"""Reports for people who check an organisation from outside: tables made from the audit log, with their evidence.

A report is a pure function of the entries in order and of a few facts beside them (`asking.Beside`). `catalogue` lists
the reports; `making` runs one; `documents`, `sheets` and `pages` write it; `folder` makes what can be handed over.
"""
