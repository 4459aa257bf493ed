"""How ready steps travel to workers."""
