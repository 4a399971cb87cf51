"""Several runs that are compared as one benchmark."""
