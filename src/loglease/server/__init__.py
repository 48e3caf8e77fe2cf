"""REST API, web pages, identity, configuration and the composition root: the one place that builds things."""
