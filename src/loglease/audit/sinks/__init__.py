"""Where signed heads are kept besides the log itself, so that whoever rewrites the one has to rewrite the others."""
