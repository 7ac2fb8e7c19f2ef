"""Section `service` of the benchmark: `manyfaces serve` under load, under attack, and stopped under load."""
