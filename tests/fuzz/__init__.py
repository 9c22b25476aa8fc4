"""Every importer and every parser of ``collectors``, fed with what its files become when they are damaged."""
