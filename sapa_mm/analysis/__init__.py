"""Costs: parameters and multiply-adds of models, time and memory of the operators."""
