"""What verbs of the command line do that is more than wiring: one file per verb or family of verbs."""
