"""Who somebody is: local accounts, passwords, tokens, sign-ins, cookies."""
