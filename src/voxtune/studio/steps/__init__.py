"""One module a step of the journey, and the page they make together."""
