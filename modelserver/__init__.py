"""The control plane: HTTP routes, the family's page, and the `heirloom` command line."""
