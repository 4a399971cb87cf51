"""The subcommands of ``halo``, each in a module with its options and its job."""
