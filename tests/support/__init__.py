"""What several tests share: studies, servers, a browser, a Slurm; no test lies here."""
