"""Targets in, situations that no case covers out: recorded on every leg, judged, made small and confirmed."""
