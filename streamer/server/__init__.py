"""The HTTP edge: routes, handlers, and the rules every request meets first."""
