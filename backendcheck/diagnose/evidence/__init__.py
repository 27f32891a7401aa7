"""What detectors look at: the situation of a case, differences, permutations, hypotheses in float64."""
