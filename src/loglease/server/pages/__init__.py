"""The web pages: HTML from the server, complete without JavaScript except for following logs live."""
