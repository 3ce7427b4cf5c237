"""Formulas on symbols: a term as a closed form, and expressions as people and LaTeX write them."""
