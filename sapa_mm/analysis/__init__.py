"""What models cost: parameters, multiply-adds, and the time and memory of the operators."""
