"""What container engines have in common that speak Docker's HTTP API over a unix socket."""
