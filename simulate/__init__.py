"""Real trainings: ensembles of independent replicas, batched, reproducible."""
